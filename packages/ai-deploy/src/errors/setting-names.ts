import { isMap } from "../values/json";

/** How messages name a property: as the program's user sets it, where the program says so. */
export type Named = (property: string) => string;

/** The name of a property, such as `timeouts.createSeconds`, by the longest entry of `settingNames` that begins it. */
export function namesOf({ settingNames }: { settingNames?: Record<string, string> }): Named {
    // Unknown in a preview, it is a text.
    const known = Object.entries(isMap(settingNames) ? settingNames : {}).sort(([a], [b]) => b.length - a.length);
    return (property) => {
        const [own, name] = known.find(([begin]) => isWithin(property, begin)) ?? [];
        return own === undefined || name === undefined ? property : name + property.slice(own.length);
    };
}

function isWithin(property: string, begin: string): boolean {
    return property === begin || (property.startsWith(begin) && /[.[]/.test(property[begin.length]));
}
