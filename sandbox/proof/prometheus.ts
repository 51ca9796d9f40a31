import { eventually, expect } from "./finding";

export interface Sample {
    labels: Record<string, string>;
    value: number;
}

/** The value of an expression now. */
export async function query(prometheus: string, expression: string): Promise<Sample[]> {
    const answer = await fetch(`${prometheus}/api/v1/query?${new URLSearchParams({ query: expression }).toString()}`);
    expect(answer.ok, `Prometheus answers ${answer.status} to ${expression}`);
    const { data } = (await answer.json()) as {
        data: { result: { metric: Record<string, string>; value: [number, string] }[] };
    };
    return data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
}

/** What Prometheus says of a target that is down. */
export async function lastScrapeError(prometheus: string, job: string): Promise<string> {
    const answer = await fetch(`${prometheus}/api/v1/targets?state=active`);
    const { data } = (await answer.json()) as {
        data: { activeTargets: { labels: { job: string }; lastError: string }[] };
    };
    return data.activeTargets.find((target) => target.labels.job === job)?.lastError || "no error given";
}

/** Whose it is: a neighbour's reads other files. `folder` is that of its config. */
export function readsFolder(prometheus: string, folder: string): Promise<string> {
    return eventually(async () => {
        const answer = await fetch(`${prometheus}/api/v1/status/config`);
        expect(answer.ok, `Prometheus answers ${answer.status} at ${prometheus}`);
        const { data } = (await answer.json()) as { data: { yaml: string } };
        expect(
            data.yaml.includes(`${folder}/`),
            `${prometheus} is that of another sandbox: it does not read ${folder}`,
        );
        return `${prometheus} reads ${folder}`;
    });
}
