let listener: (line: string) => void = (line) => console.log(line);

/** A line for the person who waits. Of Pulumi's own provider process for Node, the engine shows what is printed. */
export function say(line: string): void {
    listener(line);
}

/** Where lines go from now on. */
export function sayTo(other: (line: string) => void): void {
    listener = other;
}
