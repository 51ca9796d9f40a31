import { buildSync } from "esbuild";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A file of a page, as a server answers with it. */
export interface PageFile {
    /** Media type. */
    type: string;
    read: () => string | Buffer;
}

const styles = "text/css; charset=utf-8";
const script = "text/javascript; charset=utf-8";

const folder = join(__dirname, "page");
const uplot = (file: string): string => require.resolve(`uplot/dist/${file}`);

/** What every page of ours is made of beside its own, by path. */
export const commonFiles: Record<string, PageFile> = {
    "/base.css": styleFile(join(folder, "base.css")),
    "/uplot.css": styleFile(uplot("uPlot.min.css")),
    "/uplot.js": { type: script, read: () => readFileSync(uplot("uPlot.iife.min.js")) },
};

export function htmlFile(path: string): PageFile {
    return { type: "text/html; charset=utf-8", read: () => readFileSync(path) };
}

export function styleFile(path: string): PageFile {
    return { type: styles, read: () => readFileSync(path) };
}

/** The JavaScript of a page: a file of TypeScript with all that it imports, put together when it is first asked for. */
export function scriptFile(path: string): PageFile {
    let bundled: string | undefined;
    const bundle = (): string => {
        const [file] = buildSync({
            entryPoints: [path],
            bundle: true,
            format: "esm",
            target: "es2022",
            write: false,
        }).outputFiles;
        return file.text;
    };
    return { type: script, read: () => (bundled ??= bundle()) };
}
