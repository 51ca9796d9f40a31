import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Where programs of these names would lie, in the order of the PATH. */
export function placesOnPath(names: string[], path = process.env.PATH ?? ""): string[] {
    const folders = path.split(delimiter).filter(Boolean);
    return folders.flatMap((folder) => names.map((name) => join(folder, name)));
}

/** Whether there is a file that can be executed. */
export function isProgram(path: string): boolean {
    try {
        accessSync(path, constants.X_OK);
        return true;
    } catch {
        return false;
    }
}
