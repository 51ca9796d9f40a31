import { actions, actors } from "./actors";

/** The table of rights in docs/deploying.md: a row for each action, with who needs it. As Markdown. */
export function rightsTable(): string {
    const all = [...new Set(actors.flatMap((actor) => actions[actor]))].sort();
    const rows = all.map((action) => [
        `\`${action}\``,
        ...actors.map((actor) => (actions[actor].includes(action) ? "yes" : "")),
    ]);
    return [["action", ...actors], ["action", ...actors].map(() => "---"), ...rows]
        .map((row) => `| ${row.join(" | ")} |`)
        .join("\n");
}
