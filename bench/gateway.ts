// What the gateway adds to a request, against a connection straight to the replica in the same run.
// `npm run bench -- gateway [rounds] [connections]`
import { readFileSync } from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import { startBenchCloud } from "./cloud/start";

const rounds = Number(process.argv[2] ?? 11);
const connections = Number(process.argv[3] ?? 1);

interface Path {
    ask: () => Promise<void>;
    /** Milliseconds of each request. */
    took: number[];
}

function asker(scheme: "http" | "https", options: https.RequestOptions): () => Promise<void> {
    return () =>
        new Promise((resolve, reject) => {
            const call = (scheme === "http" ? http : https).request(options, (answer) => {
                answer.resume();
                answer.on("end", () =>
                    answer.statusCode === 200 ? resolve() : reject(new Error(`status ${answer.statusCode}`)),
                );
            });
            call.on("error", reject);
            call.end();
        });
}

const at = (sorted: number[], share: number): number => sorted[Math.floor(share * (sorted.length - 1))];

async function main(): Promise<void> {
    const cloud = await startBenchCloud({ apps: 1, replicas: 1, speed: 1 });
    const { answer } = cloud;
    const headers = { authorization: `Bearer ${answer.token}` };
    const direct: Path = {
        took: [],
        ask: asker("http", {
            port: answer.port,
            host: "127.0.0.1",
            path: "/v1/models",
            headers,
            agent: new http.Agent({ keepAlive: true, maxSockets: connections }),
        }),
    };
    const gateway: Path = {
        took: [],
        ask: asker("https", {
            port: new URL(answer.urls[0]).port,
            host: "127.0.0.1",
            path: "/v1/models",
            headers,
            ca: readFileSync(answer.caFile),
            agent: new https.Agent({ keepAlive: true, maxSockets: connections }),
        }),
    };
    const measure = async (path: Path): Promise<void> => {
        const begin = performance.now();
        await path.ask();
        path.took.push(performance.now() - begin);
    };
    // Turn by turn, so that whatever else this machine does falls on both; what falls on single rounds, the median leaves out.
    const round = async (): Promise<void> => {
        for (const path of [direct, gateway]) path.took = [];
        while (direct.took.length < 1000) {
            for (const path of [direct, gateway]) {
                for (let i = 0; i < 10; i++) {
                    await Promise.all(Array.from({ length: connections }, () => measure(path)));
                }
            }
        }
        for (const path of [direct, gateway]) path.took.sort((a, b) => a - b);
    };
    for (let n = 0; n < 3; n++) await round(); // to warm up
    const shares = [0.5, 0.9, 0.99];
    const figures = shares.map(() => ({ direct: [] as number[], gateway: [] as number[], added: [] as number[] }));
    for (let n = 0; n < rounds; n++) {
        await round();
        shares.forEach((share, i) => {
            const [one, other] = [at(direct.took, share), at(gateway.took, share)];
            figures[i].direct.push(one);
            figures[i].gateway.push(other);
            figures[i].added.push(other - one);
        });
    }
    await cloud.close();
    console.log(
        `GET /v1/models, ${connections} connections, ${rounds} rounds of 1,000 requests each way; ms, median of the rounds`,
    );
    const median = (values: number[]): number =>
        at(
            [...values].sort((a, b) => a - b),
            0.5,
        );
    shares.forEach((share, i) => {
        const [one, other, added] = [figures[i].direct, figures[i].gateway, figures[i].added].map(median);
        const times = (other / one).toFixed(2);
        console.log(
            `  p${100 * share}`.padEnd(6) +
                `direct ${one.toFixed(3)}  gateway ${other.toFixed(3)}  added ${added.toFixed(3)} (${times} times direct)`,
        );
    });
}

main().then(
    () => process.exit(0),
    (error: unknown) => {
        console.error(error);
        process.exit(1);
    },
);
