import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as ts from "typescript";

/** What the source says above a setting, or a group of them. */
export interface SettingComment {
    /** Prose, on one line. */
    text: string;
    /** The tags that src/settings/schema/index.ts names; each once at most. */
    tags: Partial<Record<Tag, string>>;
    /** Where it stands: settings that are declared once and used twice have it in common. */
    declaredAt: string;
}

type Tag = "unit" | "default" | "example" | "change" | "cost";
const tagNames: readonly string[] = ["unit", "default", "example", "change", "cost"] satisfies Tag[];

const folder = join(__dirname, "../../src/settings/schema");

/**
 * The comments of every setting by its path, as `settingPaths` writes it: `models.NAME.replicas.max`, `volumes[N].path`,
 * `alerting.receivers.NAME.url (slack)`.
 * @throws Error that names a tag that there is not, or that is given twice
 */
export function readSettingComments(): Map<string, SettingComment> {
    const files = readdirSync(folder).map((name) =>
        ts.createSourceFile(name, readFileSync(join(folder, name), "utf8"), ts.ScriptTarget.ES2022, true),
    );
    const constants = new Map<string, ts.Expression>();
    for (const statement of files.flatMap((file) => [...file.statements]).filter(ts.isVariableStatement)) {
        for (const { name, initializer } of statement.declarationList.declarations) {
            if (ts.isIdentifier(name) && initializer) constants.set(name.text, initializer);
        }
    }
    const comments = new Map<string, SettingComment>();
    new Reader(constants, comments).read(constants.get("settingsSchema")!, "");
    return comments;
}

/** Follows the schema as it is written: calls of zod, and names of constants of the folder. */
class Reader {
    constructor(
        private readonly constants: Map<string, ts.Expression>,
        private readonly comments: Map<string, SettingComment>,
    ) {}

    read(written: ts.Expression, path: string, variant = ""): void {
        if (ts.isIdentifier(written)) {
            const meant = this.constants.get(written.text);
            if (meant) this.read(meant, path, variant);
        } else if (ts.isObjectLiteralExpression(written)) {
            for (const property of written.properties) this.readProperty(property, path, variant || variantOf(written));
        } else if (ts.isCallExpression(written) && ts.isPropertyAccessExpression(written.expression)) {
            this.readCall(written, written.expression, path);
        }
    }

    private readProperty(property: ts.ObjectLiteralElementLike, path: string, variant: string): void {
        if (ts.isSpreadAssignment(property)) return this.read(property.expression, path, variant);
        const name = property.name?.getText();
        const value = ts.isPropertyAssignment(property) ? property.initializer : property.name;
        if (!name || !value || !ts.isExpression(value)) return;
        const own = path ? `${path}.${name}` : name;
        const comment = commentOf(property) ?? commentOf(declarationOf(value, this.constants));
        if (comment) this.comments.set(own + variant, comment);
        this.read(value, own);
    }

    private readCall(call: ts.CallExpression, callee: ts.PropertyAccessExpression, path: string): void {
        const [first, second] = call.arguments;
        switch (callee.name.text) {
            case "strictObject":
                return this.read(first, path);
            case "record":
                return this.read(second, `${path}.NAME`);
            case "array":
                return this.read(first, `${path}[N]`);
            case "discriminatedUnion":
                for (const one of (second as ts.ArrayLiteralExpression).elements) this.read(one, path);
                return;
            default:
                // Such as `.optional()`: what is called upon has the settings.
                return this.read(callee.expression, path);
        }
    }
}

/** Of one of several kinds, which one: ` (slack)`. */
function variantOf({ properties }: ts.ObjectLiteralExpression): string {
    const kind = properties.find((property) => property.name?.getText() === "type");
    const literal =
        kind && /^z\.literal\("(\w+)"\)$/.exec(ts.isPropertyAssignment(kind) ? kind.initializer.getText() : "");
    return literal ? ` (${literal[1]})` : "";
}

/** The declaration of a constant that a property is given, as it stands or as `name.optional()`. */
function declarationOf(value: ts.Expression, constants: Map<string, ts.Expression>): ts.Node | undefined {
    const called = ts.isCallExpression(value) && ts.isPropertyAccessExpression(value.expression);
    const name = called ? value.expression.expression : value;
    const meant = ts.isIdentifier(name) ? constants.get(name.text) : undefined;
    return meant?.parent.parent.parent;
}

function commentOf(node: ts.Node | undefined): SettingComment | undefined {
    const comment = node && ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc).at(-1);
    if (!comment) return undefined;
    const file = comment.getSourceFile();
    const { line } = file.getLineAndCharacterOfPosition(comment.pos);
    const declaredAt = `${file.fileName}:${line + 1}`;
    const tags: SettingComment["tags"] = {};
    for (const tag of comment.tags ?? []) {
        const name = tag.tagName.text;
        if (!tagNames.includes(name) || name in tags) {
            throw new Error(
                `src/settings/schema/${declaredAt}: @${name} is given twice, or is none of ${tagNames.join(", ")}`,
            );
        }
        const text = ts.getTextOfJSDocComment(tag.comment) ?? "";
        tags[name as Tag] = name === "example" ? text.trim() : oneLine(text);
    }
    return { text: oneLine(ts.getTextOfJSDocComment(comment.comment) ?? ""), tags, declaredAt };
}

function oneLine(text: string): string {
    return text.replace(/\s*\n\s*/g, " ").trim();
}
