export function reportPage(_report: unknown): string {
    return "";
}
