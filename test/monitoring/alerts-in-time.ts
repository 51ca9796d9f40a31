import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { alertmanagerConfig } from "../../src/monitoring/alertmanager";
import type { RuleGroup } from "../../src/monitoring/rules";
import { durationSeconds } from "../../src/settings/formats";
import { everyMinute, promtool, type Firing, type InputSeries } from "./promtool";
import { eventually, startAlertmanager, type SentAlert } from "./real-alertmanager";

/** Alerts that fire at each minute of a story, its first one first; the dead man's switch left out. */
export type Timeline = Firing[][];

/**
 * What fires in each story at each minute from its `from` on, evaluated by promtool: it is asked for nothing to fire, and
 * its complaints are the answer.
 */
export async function timelines(
    groups: RuleGroup[],
    stories: { what: string; series: InputSeries; from: number }[],
    to: number,
): Promise<Record<string, Timeline>> {
    const firing =
        'sum by (alertname, severity, window, replica) (ALERTS{alertstate="firing",alertname!="DeadMansSwitch"})';
    const found = stories.map(({ from }): Timeline => Array.from({ length: to - from }, () => []));
    const tests = stories.map(({ series, from }, index) => ({
        interval: everyMinute,
        input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
        promql_expr_test: found[index].map((_, after) => ({
            // The comment tells whose answer it is.
            expr: `${firing} # ${index}.`,
            eval_time: `${from + after}m`,
            exp_samples: [],
        })),
    }));
    const files = {
        "rules.yaml": { groups },
        "test.yaml": { rule_files: ["rules.yaml"], evaluation_interval: everyMinute, tests },
    };
    const said = (await promtool(files, "test", "rules", "test.yaml")) ?? "";
    const answers = [...said.matchAll(/# (\d+)\.", time: (\w+),\s+exp: nil\s+got: (.*)/g)];
    if (answers.length !== said.split("expr:").length - 1) throw new Error(said);
    for (const [, story, time, got] of answers) {
        const after = (durationSeconds(time) ?? 0) / 60 - stories[Number(story)].from;
        found[Number(story)][after] = [...got.matchAll(/\{([^}]*)\}/g)].map(([, labels]) =>
            Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, label, value]) => [label, value])),
        );
    }
    return Object.fromEntries(stories.map(({ what }, index) => [what, found[index]]));
}

/** A minute of a story, for Alertmanager: milliseconds. */
const minute = 250;

/**
 * What a real Alertmanager tells of stories that happen side by side, each to a model of its own, on a clock that runs faster:
 * each alert when its tier hears of it first, `page: VllmEndpointDown`, and `page over` when nothing is left. In their order.
 */
export async function deliveries(stories: Record<string, Timeline>): Promise<Record<string, string[]>> {
    const delivered: Record<string, string[]> = Object.fromEntries(Object.keys(stories).map((name) => [name, []]));
    const receiver = await startReceiver(({ receiver: tier, status, groupLabels: { model }, alerts }) => {
        const told = (delivered[model] ??= []);
        const names = alerts.filter((one) => one.status === "firing").map(({ labels }) => labels.alertname);
        const lines = status === "resolved" ? [`${tier} over`] : names.sort().map((name) => `${tier}: ${name}`);
        told.push(...new Set(lines.filter((line) => !told.includes(line))));
    });
    const alertmanager = await startAlertmanager(receiver.config);
    try {
        for (const changes of changesByMinute(stories)) {
            if (changes.length > 0) await alertmanager.send(changes);
            await sleep(minute);
        }
        // Whoever is to be told is so within a group's interval; then one more, to know that the way was open.
        await sleep(7 * minute);
        const last = { alertname: "Last", severity: "page", model: "last" };
        await alertmanager.send([{ labels: last }]);
        await eventually(() => delivered.last !== undefined);
    } finally {
        await alertmanager.stop();
        await receiver.stop();
    }
    const { last: _, ...told } = delivered;
    return told;
}

/** What Prometheus sends at each minute: alerts that begin, and alerts that end. */
function changesByMinute(stories: Record<string, Timeline>): SentAlert[][] {
    const length = Math.max(...Object.values(stories).map((timeline) => timeline.length));
    const soon = (hours: number) => new Date(Date.now() + hours * 3600_000).toISOString();
    return Array.from({ length }, (_, time) =>
        Object.entries(stories).flatMap(([model, timeline]) => {
            const keys = (at: number) =>
                new Map((timeline[at] ?? []).map((labels) => [JSON.stringify(labels), labels]));
            if (time >= timeline.length) return [];
            const [before, now] = [keys(time - 1), keys(time)];
            const begun = [...now].filter(([key]) => !before.has(key));
            const ended = [...before].filter(([key]) => !now.has(key));
            return [
                ...begun.map(([, labels]) => ({ labels: { ...labels, model }, endsAt: soon(1) })),
                // Without a beginning of its own an end in the past would be refused.
                ...ended.map(([, labels]) => ({
                    labels: { ...labels, model },
                    startsAt: soon(-1),
                    endsAt: soon(-0.001),
                })),
            ];
        }),
    );
}

interface Notification {
    receiver: string;
    status: "firing" | "resolved";
    groupLabels: { model: string };
    alerts: { status: "firing" | "resolved"; labels: Firing }[];
}

/** A webhook for every tier, and the stack's configuration of Alertmanager with its times shortened. */
async function startReceiver(receive: (notification: Notification) => void) {
    const server = createServer((request, response) => {
        let body = "";
        request.on("data", (part: Buffer) => (body += part.toString()));
        request.on("end", () => {
            receive(JSON.parse(body) as Notification);
            response.end();
        });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const folder = mkdtempSync(join(tmpdir(), "webhook-"));
    writeFileSync(join(folder, "hook"), url);
    const config = alertmanagerConfig({
        receivers: { hook: { type: "webhook", url } },
        routes: { page: ["hook"], ticket: ["hook"], info: ["hook"], heartbeat: [] },
        runbooks: "docs/operations",
    });
    const text = JSON.stringify(config, (key, value: unknown) => {
        if (key === "url_file") return join(folder, "hook");
        if (!/^(group_wait|group_interval|repeat_interval)$/.test(key) || value === "0s") return value;
        return `${(durationSeconds(value as string)! / 60) * minute}ms`;
    });
    return {
        config: JSON.parse(text) as object,
        async stop() {
            server.closeAllConnections();
            await new Promise((resolve) => server.close(resolve));
            rmSync(folder, { recursive: true });
        },
    };
}

function sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
