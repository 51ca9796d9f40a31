import { z } from "zod";

/** A bill of materials in CycloneDX's JSON, in part; as `@cyclonedx/cyclonedx-npm` writes it, packages lie within packages. */
interface Component {
    group?: string;
    name: string;
    version?: string;
    purl?: string;
    licenses?: { expression?: string; license?: { id?: string; name?: string } }[];
    components?: Component[];
}

const component: z.ZodType<Component> = z.lazy(() =>
    z.object({
        group: z.string().optional(),
        name: z.string(),
        version: z.string().optional(),
        purl: z.string().optional(),
        licenses: z
            .array(
                z.object({
                    expression: z.string().optional(),
                    license: z.object({ id: z.string().optional(), name: z.string().optional() }).optional(),
                }),
            )
            .optional(),
        components: z.array(component).optional(),
    }),
);

const schema = z.object({ bomFormat: z.literal("CycloneDX"), components: z.array(component).min(1) });

export interface Package {
    /** `@scope/name@1.2.3` */
    name: string;
    /** `pkg:npm/name@1.2.3` */
    purl: string;
    /** SPDX expression or name; `none` where the package names none. */
    licence: string;
}

/** Every package of a bill of materials, once. @throws Error for a file that is none, or that is empty */
export function packagesOf(text: string): Package[] {
    const { components } = schema.parse(JSON.parse(text));
    const flat = (list: Component[]): Component[] => list.flatMap((one) => [one, ...flat(one.components ?? [])]);
    const packages = flat(components).map(({ group, name, version, purl, licenses = [] }): Package => {
        const licence = licenses.map(({ expression, license }) => expression ?? license?.id ?? license?.name ?? "none");
        return {
            name: `${group ? `${group}/` : ""}${name}@${version}`,
            purl: purl?.split("?")[0] ?? "",
            licence: licence.join(" AND ") || "none",
        };
    });
    return [...new Map(packages.map((one) => [one.name, one])).values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Licences under which everything may be used, changed and passed on, with their text kept. */
const permissive = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BlueOak-1.0.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Python-2.0",
    "Unlicense",
    "Zlib",
];

/** Read by a person, who says why they will do: by name, without the version. */
const reviewed: Record<string, string> = {
    "@logdna/tail-file": "its LICENSE is that of MIT",
    "spdx-exceptions": "CC-BY-3.0, a list of names; its author is named in the bill of materials",
};

/** The packages whose licence is not known to be permissive. Of a choice (OR) one such licence is enough. */
export function otherLicences(packages: Package[]): Package[] {
    return packages.filter(
        ({ name, licence }) => !isPermissive(licence) && !Object.hasOwn(reviewed, name.replace(/(?<=.)@[^@]*$/, "")),
    );
}

function isPermissive(expression: string): boolean {
    const plain = expression.replace(/[()]/g, "");
    return plain.split(/ AND /).every((part) => part.split(/ OR /).some((one) => permissive.includes(one.trim())));
}
