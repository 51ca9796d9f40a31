/** Text charts for a terminal. */

export interface Series {
    title: string;
    /** One value per column; undefined leaves the column empty. */
    values: (number | undefined)[];
    /** Lines of text. */
    height: number;
    /** How a value is written beside the axis. */
    format: (value: number) => string;
}

const eighths = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
const axisWidth = 9;

/** Bars from zero, in eighths of a line, with the largest value on the axis. Empty without any value. */
export function barChart({ title, values, height, format }: Series): string {
    const known = values.filter((value) => value !== undefined);
    if (known.length === 0) return "";
    const top = Math.max(...known);
    const levels = values.map((value) => {
        if (value === undefined || top === 0) return 0;
        // What is there is seen, however small.
        return value === 0 ? 0 : Math.max(1, Math.round((value / top) * height * 8));
    });
    const lines = Array.from({ length: height }, (_, i) => {
        const below = (height - 1 - i) * 8;
        const label = i === 0 ? format(top) : i === height - 1 ? format(0) : "";
        const bars = levels.map((level) => eighths[Math.min(8, Math.max(0, level - below))]).join("");
        return `${label.padStart(axisWidth)} │${bars}`.trimEnd();
    });
    return [`${" ".repeat(axisWidth)} ${title}`, ...lines].join("\n");
}

/** The time axis below charts of `columns` columns of `width` seconds each, with a mark every tenth column. */
export function timeAxis(columns: number, width: number): string {
    let marks = "";
    for (let column = 0; column < columns; column += 10) {
        marks = marks.padEnd(column) + `${column * width} s`;
    }
    const line = Array.from({ length: columns }, (_, column) => (column % 10 === 0 ? "┴" : "─")).join("");
    return `${" ".repeat(axisWidth)} └${line}\n${" ".repeat(axisWidth + 2)}${marks}`;
}
