/** A value as Grafana would write it in this unit. */
export function formatValue(value: number, unit: string): string {
    switch (unit) {
        case "s":
            return seconds(value);
        case "ms":
            return seconds(value / 1000);
        case "percentunit":
            return `${digits(value * 100)} %`;
        case "bytes":
            return scaled(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);
        case "currencyEUR":
            return `€${digits(value)}`;
        case "reqps":
            return `${digits(value)} req/s`;
        case "cps":
            return `${digits(value)} /s`;
        case "short":
            return scaled(value, 1000, ["", "K", "M", "G", "T"]).trim();
        default:
            return `${scaled(value, 1000, ["", "K", "M", "G", "T"]).trim()} ${unit}`;
    }
}

/** The same beside an axis, where there is no room for the words of a unit that is not Grafana's own. */
export function formatTick(value: number, unit: string): string {
    return /^(s|ms|percentunit|bytes|currencyEUR|reqps|cps)$/.test(unit)
        ? formatValue(value, unit)
        : formatValue(value, "short");
}

function seconds(value: number): string {
    const size = Math.abs(value);
    if (size === 0) return "0 s";
    if (size < 0.001) return `${digits(value * 1e6)} µs`;
    if (size < 1) return `${digits(value * 1000)} ms`;
    if (size < 120) return `${digits(value)} s`;
    if (size < 7200) return `${digits(value / 60)} min`;
    return size < 172_800 ? `${digits(value / 3600)} h` : `${digits(value / 86_400)} d`;
}

function scaled(value: number, base: number, units: string[]): string {
    let left = value;
    let power = 0;
    while (Math.abs(left) >= base && power < units.length - 1) {
        left /= base;
        power++;
    }
    return `${digits(left)} ${units[power]}`;
}

/** Three digits that count. */
function digits(value: number): string {
    if (value === 0) return "0";
    return Math.abs(value) >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}
