import { styleText } from "node:util";

const coloured = process.stdout.isTTY && !process.env.NO_COLOR;

type Style = "green" | "red" | "yellow" | "dim" | "bold" | "cyan";

/** Text in a style where a person looks, plain text elsewhere. */
export function styled(style: Style, text: string): string {
    return coloured ? styleText(style, text) : text;
}

/** A duration as people say it: "0.4 s", "12 s", "3 min 20 s". */
export function duration(milliseconds: number): string {
    const seconds = milliseconds / 1000;
    if (seconds < 10) return `${seconds.toFixed(1)} s`;
    if (seconds < 60) return `${Math.round(seconds)} s`;
    return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** Left-aligned columns, two spaces apart; the last column is cut to the terminal's width. */
export function table(rows: string[][]): string {
    const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
    const room = (process.stdout.columns ?? 160) - 1;
    return rows
        .map((row) => {
            const line = row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]))).join("  ");
            return process.stdout.isTTY && line.length > room ? line.slice(0, room - 1) + "…" : line;
        })
        .join("\n");
}
