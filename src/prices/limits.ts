import type { Fault, LimitsSettings } from "../settings";
import { hoursPerMonth, type Cost, type CostLine } from "./cost";
import { money } from "./text";

/** How many hours each limit is for. */
const hoursOf = { eurosPerHour: 1, eurosPerMonth: hoursPerMonth };
type Limit = keyof typeof hoursOf;

/** The limits that are set. */
function limitsIn(limits: LimitsSettings): [Limit, number][] {
    return (Object.keys(hoursOf) as Limit[]).flatMap((key) => {
        const limit = limits[key];
        return limit === undefined ? [] : [[key, limit]];
    });
}

/** Limits that the stack exceeds with its most replicas and nodes, or that its prices say nothing of. */
export function limitFaults(cost: Cost, limits: LimitsSettings): Fault[] {
    const { currency, perHour } = cost;
    if (currency === undefined || perHour === undefined) return [];
    return limitsIn(limits).flatMap(([key, limit]) => {
        const fault = (fix: string): Fault[] => [{ key: `limits.${key}`, found: String(limit), fix }];
        if (currency !== "EUR") {
            const ways = `give yours in EUR with prices.file, or take it away: pulumi config rm --path limits.${key}`;
            return fault(`the prices are in ${currency}, which no limit in euros can be held to: ${ways}`);
        }
        // One that is acted on in the cluster is a limit of what is spent, not of what could be.
        if (key === "eurosPerMonth" && limits.action !== undefined) return [];
        if (perHour.max * hoursOf[key] <= limit) return [];
        return fault(tooDear(cost, key, limit));
    });
}

/** Limits that could not be held to everything. */
export function limitWarnings({ perHour, notPriced, items }: Cost, limits: LimitsSettings): string[] {
    if (notPriced.length === 0) return [];
    const unheld = perHour
        ? `is not held to ${notPriced.join(", ")}: no price found`
        : "is not checked: no price is known";
    const unpriced = items.filter(({ model, pricePerHour }) => model !== undefined && pricePerHour === undefined);
    return [
        ...limitsIn(limits).map(([key]) => `limits.${key} ${unheld}`),
        ...(limits.action ? unpriced : []).map(
            ({ model, planCode }) =>
                `limits.action: while a replica of ${model} has no price (${planCode}), nobody knows what is spent: give it in a file ` +
                "of your own (docs/cost.md): pulumi config set --path prices.file prices.yaml",
        ),
    ];
}

function tooDear({ items, perHour }: Cost, key: Limit, limit: number): string {
    const hours = hoursOf[key];
    const dear = [...items].sort((a, b) => most(b) - most(a)).filter((item) => most(item) > 0);
    const parts = dear
        .slice(0, 3)
        .map(({ what, count, perHour }) => `${count.max} x ${what}: ${money((perHour?.max ?? 0) * hours)}`);
    const total = perHour!.max * hours;
    const raise = `pulumi config set --path limits.${key} ${Math.ceil(total * 100 - 1e-6) / 100}`;
    const fewer = fewerReplicas(items, limit / hours);
    const ways = fewer ? `have fewer replicas: ${fewer}, or raise the limit: ${raise}` : `raise the limit: ${raise}`;
    const said = `the stack can cost ${money(total)} (${parts.join("; ")}${dear.length > 3 ? "; ..." : ""})`;
    return `${said}; ${ways}`;
}

const most = ({ perHour }: CostLine): number => perHour?.max ?? 0;

/**
 * Commands that bring the stack under the limit by `replicas.max`, of one model if that is enough, else of several; undefined
 * where the fewest replicas of each are too many.
 */
function fewerReplicas(items: CostLine[], limitPerHour: number): string | undefined {
    let over = items.reduce((sum, item) => sum + most(item), 0) - limitPerHour;
    const spare = ({ perHour }: CostLine) => (perHour ? perHour.max - perHour.min : 0);
    const models = items.filter((item) => item.model !== undefined && spare(item) > 0);
    const commands: string[] = [];
    for (const { model, count, pricePerHour } of models.sort((a, b) => spare(b) - spare(a))) {
        if (over <= 1e-9) break;
        const fewer = Math.min(Math.ceil(over / pricePerHour! - 1e-9), count.max - Math.max(count.min, 1));
        over -= fewer * pricePerHour!;
        commands.push(`pulumi config set --path models.${model}.replicas.max ${count.max - fewer}`);
    }
    return over <= 1e-9 ? commands.join(" && ") : undefined;
}
