/**
 * The tokens of the simulation: four characters of Latin script, or one other character. Four is the rule of thumb for
 * English; the ids are not the model's, but say what they stand for, so that every replica reads them alike.
 */

/** Above the ids of tokens in Latin script, which are their characters as digits to the base 256 after a leading 1. */
const otherScripts = 2 ** 34;

/** Above every id. */
export const vocabularySize = otherScripts + 0x110000;

/** The text of each token. */
export function tokensOf(text: string): string[] {
    return text.match(/[\0-\xff]{1,4}|[^\0-\xff]/gu) ?? [];
}

/** The id of a token; what is longer than one, as a part of an image, has that of its first characters. */
export function tokenId(token: string): number {
    const code = token.codePointAt(0)!;
    if (code > 0xff) return otherScripts + code;
    return [...token.slice(0, 4)].reduce((id, character) => id * 256 + character.charCodeAt(0), 1);
}

/** The text of a token; undefined for a number that is the id of none. */
export function tokenOfId(id: number): string | undefined {
    if (!Number.isInteger(id)) return undefined;
    if (id > otherScripts + 0xff) {
        return id <= otherScripts + 0x10ffff ? String.fromCodePoint(id - otherScripts) : undefined;
    }
    const characters: string[] = [];
    let rest = id;
    for (; rest > 1 && characters.length < 5; rest = Math.floor(rest / 256)) {
        characters.unshift(String.fromCharCode(rest % 256));
    }
    return rest === 1 && characters.length >= 1 && characters.length <= 4 ? characters.join("") : undefined;
}
