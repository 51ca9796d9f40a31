import { isMap } from "../values/json";

/** How messages name a property: as the program's user sets it, where the program says so. */
export type Named = (property: string) => string;

/** How messages write settings: as the program's language does. */
export interface Spelling {
    /** Namespace of the stack config that holds credentials and project. */
    configNamespace: string;
    /** Of a property that the program gives no other name. */
    property: Named;
    /** What makes a replacement bring the new one up first. */
    replaceFirst: string;
}

let spelling: Spelling = {
    configNamespace: "ovh",
    property: (property) => property,
    replaceFirst: "The resource option deleteBeforeReplace: false",
};

/** Takes another spelling than that of TypeScript, for the whole process. */
export function spellSettings(other: Spelling): void {
    spelling = other;
}

/** A key of stack config, such as `ovh:endpoint`. */
export function configKey(name: string): string {
    return `${spelling.configNamespace}:${name}`;
}

/** How a person makes a replacement bring the new app up first, at the beginning of a sentence. */
export function wayToReplaceFirst({ settingNames }: { settingNames?: Record<string, string> }): string {
    const setting = settingNames?.replaceFirst;
    return setting ? `${setting}: true` : spelling.replaceFirst;
}

/** The name of a property, such as `timeouts.createSeconds`, by the longest entry of `settingNames` that begins it. */
export function namesOf({ settingNames }: { settingNames?: Record<string, string> }): Named {
    // Unknown in a preview, it is a text.
    const known = Object.entries(isMap(settingNames) ? settingNames : {}).sort(([a], [b]) => b.length - a.length);
    return (property) => {
        const [own, name] = known.find(([begin]) => isWithin(property, begin)) ?? [];
        return own === undefined || name === undefined
            ? spelling.property(property)
            : name + property.slice(own.length);
    };
}

function isWithin(property: string, begin: string): boolean {
    return property === begin || (property.startsWith(begin) && /[.[]/.test(property[begin.length]));
}
