/**
 * The schema of the plugin of packages/ai-deploy, from the types of the dynamic resources: `...Inputs` of each `args.ts`
 * with their comments, and the outputs of the classes.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as ts from "typescript";

const packageDir = join(__dirname, "../../packages/ai-deploy");
const plugin = "ovh-ai-deploy";

/** Of each resource the interface of its inputs, by file. */
const inputsOf = {
    App: ["app/args.ts", "AppInputs"],
    AppReady: ["app/args.ts", "AppReadyInputs"],
    AppLeftovers: ["app/args.ts", "AppLeftoversInputs"],
    Token: ["token/args.ts", "TokenInputs"],
    Authorization: ["authorization/args.ts", "AuthorizationInputs"],
    DataSync: ["data-sync/args.ts", "DataSyncInputs"],
} as const;

/** What is otherwise with the plugin. */
const ownDescriptions: Record<string, string> = {
    replaceFirst:
        "Whether a replacement brings the new app up before it deletes the old one: both are billed until then, and need quota. Default false. It does what the resource option deleteBeforeReplace does, and previews say so.",
};

const secrets = ["envVars", "value"];
/** Numbers that need not be whole. */
const fractions = ["targetValue"];

/** Of the provider, in the order in which they are shown. */
const config = {
    endpoint: "`ovh-eu`, `ovh-ca`, `ovh-us`, or a URL. Default: `OVH_ENDPOINT`, else `ovh.conf`.",
    serviceName: "Public Cloud project id. Default: `OVH_CLOUD_PROJECT_SERVICE`.",
    clientId: "OAuth2 service account, with `clientSecret`. Default: `OVH_CLIENT_ID`, else `ovh.conf`.",
    clientSecret: "Default: `OVH_CLIENT_SECRET`, else `ovh.conf`.",
    applicationKey:
        "Signed keys, with `applicationSecret` and `consumerKey`. Default: `OVH_APPLICATION_KEY`, else `ovh.conf`.",
    applicationSecret: "Default: `OVH_APPLICATION_SECRET`, else `ovh.conf`.",
    consumerKey: "Default: `OVH_CONSUMER_KEY`, else `ovh.conf`.",
    accessToken: "A token. Default: `OVH_ACCESS_TOKEN`, else `ovh.conf`.",
};
const secretConfig = ["clientSecret", "applicationSecret", "consumerKey", "accessToken"];

interface Property {
    description?: string;
    secret?: true;
    [key: string]: unknown;
}

/** The schema as an object; the plugin adds its version. */
export function pluginSchema(): object {
    const file = (name: string): string => join(packageDir, "src", name);
    const files = ["resources.ts", ...new Set(Object.values(inputsOf).map(([name]) => name))].map(file);
    const options: ts.CompilerOptions = { strict: true, skipLibCheck: true, types: ["node"], noEmit: true };
    const program = ts.createProgram(files, {
        ...options,
        target: ts.ScriptTarget.ES2020,
        module: ts.ModuleKind.CommonJS,
        moduleResolution: ts.ModuleResolutionKind.Node10,
    });
    const checker = program.getTypeChecker();
    const types = new SchemaTypes(checker);
    const exported = (name: string, symbol: string): ts.Symbol => {
        const source = program.getSourceFile(file(name))!;
        return checker.getExportsOfModule(checker.getSymbolAtLocation(source)!).find((one) => one.name === symbol)!;
    };

    const resources = Object.entries(inputsOf).map(([name, [inputFile, inputType]]) => {
        const inputs = checker.getDeclaredTypeOfSymbol(exported(inputFile, inputType)).getProperties();
        const owner = exported("resources.ts", name);
        const members = checker.getDeclaredTypeOfSymbol(owner).getProperties();
        const outputs = members.filter((member) => isOwnOutput(member));
        const inputProperties = Object.fromEntries(inputs.map((input) => [input.name, types.property(input, name)]));
        const added = outputs.filter((output) => !inputs.some((input) => input.name === output.name));
        const outputProperties = added.map((output) => [output.name, types.output(output, name)]);
        const required = inputs.filter((input) => !isOptional(input)).map((input) => input.name);
        const certain = added.filter((output) => !types.mayBeUndefined(output)).map((output) => output.name);
        return [
            `${plugin}:index:${name}`,
            {
                description: describe(owner, checker),
                inputProperties,
                requiredInputs: required,
                properties: { ...inputProperties, ...Object.fromEntries(outputProperties) },
                required: [...required, ...certain],
            },
        ];
    });
    const variables = Object.fromEntries(
        Object.entries(config).map(([name, description]) => [
            name,
            { type: "string", description, ...(secretConfig.includes(name) ? { secret: true } : {}) },
        ]),
    );
    const { license } = JSON.parse(readFileSync(join(packageDir, "package.json"), "utf8")) as {
        license: string;
    };
    const description = "OVHcloud AI Deploy: apps, tokens, data synchronization and the project's authorization";
    return {
        name: plugin,
        displayName: "OVHcloud AI Deploy",
        description,
        license,
        keywords: ["pulumi", "ovh", "ovhcloud", "ai-deploy", "category/cloud"],
        // The SDK that `pulumi package add` writes for Go is a module then.
        meta: { moduleFormat: "(.*)", supportPack: true },
        language: {
            python: { pyproject: { enabled: true }, readme: description },
            nodejs: { respectSchemaVersion: true },
            go: {
                importBasePath: "example.com/pulumi-ovh-ai-deploy/sdk/go/ovhaideploy",
                respectSchemaVersion: true,
                generateResourceContainerTypes: true,
            },
            csharp: { respectSchemaVersion: true },
        },
        config: { variables },
        provider: { description: "Where OVHcloud's API is, and as whom it is asked.", inputProperties: variables },
        resources: Object.fromEntries(resources) as object,
        types: types.all(),
    };
}

/** The object and enum types of the schema, found on the way. */
class SchemaTypes {
    private readonly found = new Map<string, object>();

    constructor(private readonly checker: ts.TypeChecker) {}

    all(): object {
        const sorted = [...this.found].sort(([a], [b]) => (a < b ? -1 : 1));
        return Object.fromEntries(sorted.map(([name, type]) => [`${plugin}:index:${name}`, type]));
    }

    /** An input, or a property of an object type. `owner`: what it is a property of. */
    property(symbol: ts.Symbol, owner: string): Property {
        return this.describe(symbol, this.typeOf(symbol), owner);
    }

    /** Of `readonly url!: pulumi.Output<string>`: the string. Its values may become more: no enum. */
    output(symbol: ts.Symbol, owner: string): Property {
        return this.describe(symbol, this.inner(symbol), owner, true);
    }

    mayBeUndefined(output: ts.Symbol): boolean {
        const inner = this.inner(output);
        return inner.isUnion() && inner.types.some((type) => Boolean(type.flags & ts.TypeFlags.Undefined));
    }

    /** `T` of the member's `Output<T>`, as it is written there: the class itself is a union of much more. */
    private inner(symbol: ts.Symbol): ts.Type {
        const declared = (symbol.valueDeclaration as ts.PropertyDeclaration).type as ts.TypeReferenceNode;
        return this.checker.getTypeFromTypeNode(declared.typeArguments![0]);
    }

    private describe(symbol: ts.Symbol, type: ts.Type, owner: string, isOutput = false): Property {
        const description = ownDescriptions[symbol.name] ?? describe(symbol, this.checker);
        return {
            ...this.schema(type, symbol.name, owner, isOutput),
            ...(description === "" ? {} : { description }),
            ...(secrets.includes(symbol.name) ? { secret: true as const } : {}),
        };
    }

    private typeOf(symbol: ts.Symbol): ts.Type {
        return this.checker.getTypeOfSymbol(symbol);
    }

    private schema(given: ts.Type, name: string, owner: string, isOutput: boolean): Property {
        const type = this.checker.getNonNullableType(given);
        if (type.flags & ts.TypeFlags.StringLike && !type.isStringLiteral()) return { type: "string" };
        if (type.flags & ts.TypeFlags.NumberLike) return { type: fractions.includes(name) ? "number" : "integer" };
        if (type.flags & ts.TypeFlags.BooleanLike) return { type: "boolean" };
        if (type.isUnion() && type.types.every((one) => one.isStringLiteral())) {
            if (isOutput) return { type: "string" };
            const values = type.types.map(({ value }) => enumValue(value));
            return this.reference(owner + capitalized(name), () => ({ type: "string", enum: values }));
        }
        if (this.checker.isArrayType(type)) {
            const [item] = this.checker.getTypeArguments(type as ts.TypeReference);
            return { type: "array", items: this.schema(item, name, owner, isOutput) };
        }
        const values = type.getStringIndexType();
        if (values) {
            return { type: "object", additionalProperties: this.schema(values, name, owner, isOutput) };
        }
        if (type.getProperties().length === 0) throw new Error(`${owner}.${name}: no schema for this type`);
        const own = type.symbol.name;
        return this.reference(own.startsWith("__") ? owner + capitalized(name) : own, (reference) => ({
            type: "object",
            properties: Object.fromEntries(
                type.getProperties().map((member) => [member.name, this.property(member, reference)]),
            ),
            required: type
                .getProperties()
                .filter((member) => !isOptional(member))
                .map((member) => member.name),
        }));
    }

    private reference(name: string, make: (name: string) => object): Property {
        if (!this.found.has(name)) {
            this.found.set(name, {});
            this.found.set(name, make(name));
        }
        return { $ref: `#/types/${plugin}:index:${name}` };
    }
}

/** `ai_training_read` as `AiTrainingRead`; others are names as they are. */
function enumValue(value: string): object {
    return value.includes("_") ? { name: value.split("_").map(capitalized).join(""), value } : { value };
}

function isOptional(symbol: ts.Symbol): boolean {
    return Boolean(symbol.flags & ts.SymbolFlags.Optional);
}

/** `readonly url!: pulumi.Output<...>` of one of our classes, not what it has from Pulumi's. */
function isOwnOutput({ valueDeclaration: declaration }: ts.Symbol): boolean {
    return (
        declaration !== undefined &&
        ts.isPropertyDeclaration(declaration) &&
        declaration.getSourceFile().fileName.endsWith("/ai-deploy/src/resources.ts")
    );
}

/** The comment as a text, without what is for who reads the code or for TypeScript alone. */
function describe(symbol: ts.Symbol, checker: ts.TypeChecker): string {
    return ts
        .displayPartsToString(symbol.getDocumentationComment(checker))
        .replace(/ ?\[[SDPK]\]/g, "")
        .replace("; `getRegions` lists them", "")
        .replace("; `getFlavors` lists those of a region", "")
        .replace(" of `@pulumi/random`", "")
        .replace("The option `deleteBeforeReplace: false` turns that round.", "`replaceFirst` turns that round.")
        .replace("`ovh:serviceName`", `\`${plugin}:serviceName\``)
        .replace(/\s+/g, " ")
        .trim();
}

function capitalized(text: string): string {
    return text.charAt(0).toUpperCase() + text.slice(1);
}
