export function compareFiles(_files: string[]): string {
    return "";
}
