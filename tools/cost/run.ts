import { readFileSync } from "node:fs";
import { styled } from "../../machine/terminal";
import { OvhClient } from "../../packages/ai-deploy/src/api/client";
import type { LiveApp } from "../../packages/ai-deploy/src/app/live";
import { costOf } from "../../src/prices/cost";
import { limitFaults } from "../../src/prices/limits";
import type { PriceList } from "../../src/prices/price-list";
import { monitoringApis } from "../monitoring-api";
import { pricesOf } from "../prices";
import { Prometheus } from "../prometheus";
import { pulumi, readStack, stackApi, stackSettings, type Stack } from "../stack";
import { commandLine } from "../command-line";
import { costDifference, readCost } from "./difference";
import { spentSince } from "./spent";
import { costTable, spentTable, unownedText } from "./text";
import { appIdsIn, unownedApps, type UnownedApp } from "./unowned";

const usage = `Usage: npm run cost [-- OPTIONS]

Prints what the configured stack costs by OVHcloud's public price list and prices.file, part by part, without tax, and the
apps of its project that are billed and belong to no stack. Nothing is changed.

  --stack NAME        stack to look at (default: the selected stack)
  --since DATE        also what the running stack has cost since then (2026-11-01, or with a time), from its Prometheus
  --against FILE      print instead, as Markdown for a pull request, what changes against the cost in that file: the
                      stack's output (pulumi stack output cost > FILE), or one printed with --json; an empty file is none
  --prometheus URL    where Prometheus answers (default: through the cluster's API server; in the sandbox its own)
  --json              print it as JSON and nothing else

Exit code: 0, 1 (something has no price, exceeds a limit, or belongs to no stack), 2 (it could not be found out).`;

/** `npm run cost` with these options; resolves with the exit code. Rejects with an Error for people. */
export async function runCost(args: string[]): Promise<number> {
    const { values: options } = commandLine({
        args,
        options: {
            stack: { type: "string" },
            since: { type: "string" },
            against: { type: "string" },
            prometheus: { type: "string" },
            json: { type: "boolean", default: false },
            help: { type: "boolean", short: "h", default: false },
        },
    });
    if (options.help) {
        console.log(usage);
        return 0;
    }
    const since = options.since === undefined ? undefined : dateOf(options.since);
    const before = options.against === undefined ? undefined : readFileSync(options.against, "utf8").trim();
    const stack = await readStack(options.stack);
    const settings = stackSettings(stack);
    const prices = await pricesOf(settings.prices, stack.config);
    const cost = costOf(settings, prices);
    const faults = limitFaults(cost, settings.limits);
    const isFine = cost.notPriced.length === 0 && faults.length === 0;
    if (before !== undefined) {
        console.log(costDifference(before === "" ? undefined : readCost(before, options.against!), cost));
        return isFine ? 0 : 1;
    }
    const spent = since && (await spentSince(since, new Date(), cost, prometheusOf(stack, options.prometheus)));
    const unowned = await unownedOf(stack, prices);
    const apps = typeof unowned === "string" ? [] : unowned;
    if (options.json) {
        const { source, remarks } = prices;
        console.log(JSON.stringify({ ...cost, source, remarks, spent, unowned: apps }, null, 4));
    } else {
        console.log(costTable(cost, prices, settings.limits));
        for (const { key, fix } of faults) console.log(styled("red", `${key}: ${fix}`));
        if (spent) console.log(`\n${spentTable(spent, cost.currency)}`);
        if (apps.length > 0) console.log(`\n${unownedText(apps, cost.currency)}`);
    }
    if (typeof unowned === "string") console.error(`apps that no stack owns could not be looked for: ${unowned}`);
    return isFine && apps.length === 0 ? 0 : 1;
}

/** What a stack would cost by its config, against what is deployed, as Markdown. Rejects with an Error for people. */
export async function costChange(name: string): Promise<string> {
    const stack = await readStack(name);
    const settings = stackSettings(stack);
    const prices = await pricesOf(settings.prices, stack.config);
    return costDifference(stack.outputs.cost, costOf(settings, prices));
}

/** Midnight here, where no time is given. */
function dateOf(text: string): Date {
    const [, day, time] = /^(\d{4}-\d{2}-\d{2})(T.+)?$/.exec(text) ?? [];
    const date = new Date(`${day}${time ?? "T00:00"}`);
    // Of a 30 February Date makes a day in March.
    const exists = new Date(`${day}T00:00Z`).toJSON()?.startsWith(day);
    if (Number.isNaN(date.getTime()) || !exists) {
        throw new Error(`--since ${text}: give a date such as 2026-11-01 or 2026-11-01T08:00`);
    }
    return date;
}

function prometheusOf({ outputs, config }: Stack, url: string | undefined): Prometheus {
    if (!outputs.kubeconfig) throw new Error("the stack has no output `kubeconfig`: run `pulumi up` first");
    const { namespace } = stackSettings({ config } as Stack).monitoring;
    return new Prometheus(monitoringApis(outputs.kubeconfig, namespace, { prometheus: url }).prometheus);
}

/** The apps that no stack owns, or why that cannot be told. */
async function unownedOf(stack: Stack, prices: PriceList): Promise<UnownedApp[] | string> {
    const api = stackApi(stack, (credentials) => new OvhClient(credentials, { requestTimeoutMs: 15_000 }));
    if (typeof api === "string") return api;
    const { client, projectId } = api;
    try {
        return await unownedApps(
            (path) => client.get<LiveApp[]>(path),
            projectId,
            () => ownedApps(stack.name),
            prices,
        );
    } catch (error) {
        return (error as Error).message;
    }
}

/** Ids of the apps in the states of all stacks of this program, the selected one first. */
async function ownedApps(name: string | undefined): Promise<Set<string>> {
    const listed = JSON.parse(await pulumi(["stack", "ls", "--json"])) as { name: string; current: boolean }[];
    const others = listed.filter((one) => (name === undefined ? !one.current : one.name !== name));
    const ids = new Set<string>();
    // One after the other: each may ask for the stack's lock.
    for (const stack of [name, ...others.map((one) => one.name)]) {
        for (const id of appIdsIn(await pulumi(["stack", "export"], stack))) ids.add(id);
    }
    return ids;
}
