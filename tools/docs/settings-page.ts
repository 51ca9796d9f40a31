import { format } from "prettier";
import { readSettingComments, type SettingComment } from "./setting-comments";
import { readSettings } from "./setting-types";

/** A setting as the page shows it; several where they are declared once. */
export interface DocumentedSetting extends SettingComment {
    paths: string[];
    /** Of a group nothing. */
    type?: string;
}

/**
 * Every setting with what its source says of it, in the order of the schema.
 * @throws Error that names a setting of which the source says nothing
 */
export function documentedSettings(): DocumentedSetting[] {
    const comments = readSettingComments();
    const documented = new Map<string, DocumentedSetting>();
    for (const { path, type } of readSettings()) {
        const comment = comments.get(path);
        if (!comment?.text) throw new Error(`src/settings/schema: nothing says above it what ${path} is`);
        const known = documented.get(comment.declaredAt);
        if (known) known.paths.push(path);
        else documented.set(comment.declaredAt, { ...comment, paths: [path], type });
    }
    return [...documented.values()];
}

/** docs/settings.md. */
export function settingsPage(): Promise<string> {
    const settings = documentedSettings();
    const ofTheStack = settings.filter(({ paths: [path], type }) => type && !path.includes("."));
    const parts = settings.filter((setting) => !ofTheStack.includes(setting));
    const entries = [...ofTheStack, ...parts].map((setting) => (setting.type ? entry(setting) : group(setting)));
    return format([head, ...entries].join("\n\n"), { parser: "markdown", printWidth: 120, tabWidth: 4 });
}

const head = `# Settings

<!-- Written by \`npm run docs\` from the comments in src/settings/schema: change them there. -->

Every key of the stack config. Only \`projectId\`, \`huggingFaceToken\` and \`monitoring.grafana.allowedSources\` have to be
set; the rest are defaults, those of OVHcloud's reference architecture. A value set is laid over them: maps are merged,
lists and single values replace, and \`null\` in the stack file takes a default away. \`NAME\` is a name of your own,
\`ministral\` in the examples; \`N\` a place in a list, from 0.

A wrong value is refused in preview, before anything is changed. What has no setting is changed in
[transforms.ts](../transforms.ts).

## What a change does

\`pulumi preview\` shows it before it is done. In short:

- **live**: in place. Nothing restarts, and no request is lost.
- **rolls**: the app's replicas are replaced by new ones, and go once one of those serves, which for a large model takes
  minutes. The address stays. Both are billed meanwhile, and need quota. vLLM 0.13.0 ends no request when it is told to
  stop, so those under way at a replica that goes are lost ([simulation.md](simulation.md)).
- **replaces the app**: another app, with another id and address, which clients have to be told; the monitoring follows
  by itself. The old app goes first, and nothing serves until the new one does; with \`replaceFirst\` it is the other way
  round. What is on standalone volumes is lost. \`protect\` refuses it.
- **replaces the tokens**: clients need the new \`clientToken\`, and the old one ends at once.
- **replaces the node pool**: pods move to the new nodes; volumes go with them.
- **replaces the cluster**: a new one is made, everything is set up in it, and the old one is deleted with its volumes:
  metrics, Grafana's database and silences are lost. For some minutes both are billed and count against the quota.
  \`cluster.protect\` refuses it. Models go on serving.

Costs are named where there are some; prices are those of OVHcloud's public price list, by the plan codes given.

## The stack`;

/** Levels of headings: a part of the config, a group in it, a setting. */
function group({ paths: [path], text, tags }: DocumentedSetting): string {
    const level = path.includes(".") ? "###" : "##";
    return [`${level} ${path}`, text, facts(tags)].filter(Boolean).join("\n\n");
}

function entry({ paths, type, text, tags }: DocumentedSetting): string {
    const unit = tags.unit ? `, in ${tags.unit}` : "";
    return [`#### ${paths.join(", ")}`, text, facts(tags, `${type}${unit}`)].join("\n\n");
}

function facts(tags: SettingComment["tags"], type?: string): string {
    const commands = tags.example?.split("\n") ?? [];
    const what = [type, tags.default && `default ${tags.default}`].filter(Boolean).join("; ");
    return [
        ...(what ? [`- ${what}`] : []),
        ...(tags.change ? [`- a change: ${tags.change}`] : []),
        ...(tags.cost ? [`- cost: ${tags.cost}`] : []),
        ...(commands.length === 1 ? [`- \`${commands[0]}\``] : []),
        ...(commands.length > 1 ? [`\n\`\`\`bash\n${tags.example}\n\`\`\``] : []),
    ].join("\n");
}
