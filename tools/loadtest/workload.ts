import { createHash } from "node:crypto";

/** What is asked of the model: the prompts and how they are drawn. */

export type Length = "short" | "medium" | "long";

export interface Prompt {
    length: Length;
    /** How often it is drawn, against the other weights. */
    weight: number;
    text: string;
}

const notes = [
    "The service takes orders over HTTP, keeps them in one PostgreSQL database and sends a message to a queue for each change.",
    "Three workers read that queue: one reserves stock, one charges the card, one asks the carrier for a label.",
    "Each worker writes its result back through the same API, so a slow database slows the workers, and slow workers let the queue grow.",
    "Last month the queue reached 40,000 messages in the evening, customers waited an hour for a confirmation, and some ordered twice.",
    "The charge worker retries without a key that would make a second charge harmless, so some of those customers paid twice.",
    "The dashboards showed the mean response time alone, which stayed under its limit all evening, and nobody was paged.",
    "Adding workers made it worse: the database ran out of connections, and the API began to refuse orders.",
    "The team has four people, one of them on call each week, and a release takes two hours by hand.",
    "There is a test environment with a hundredth of the data, where none of this can be seen.",
].join(" ");

/** The mix of the reference architecture's load test: three short prompts, two medium ones, a long one that comes most often. */
export const prompts: Prompt[] = [
    { length: "short", weight: 2, text: "What is a replica, in one sentence?" },
    { length: "short", weight: 2, text: "Name five rivers of Europe." },
    { length: "short", weight: 2, text: "Translate into French: the train leaves at noon." },
    {
        length: "medium",
        weight: 4,
        text:
            "Explain to a new colleague how a web service grows from one server to several: what a load balancer does, " +
            "why sessions get in the way, and when a cache helps. Use one example throughout.",
    },
    {
        length: "medium",
        weight: 4,
        text:
            "Write a TypeScript function that merges overlapping time intervals. Say what it costs in time and memory, " +
            "and give three tests, one of them for an empty list.",
    },
    {
        length: "long",
        weight: 6,
        text:
            `These are notes on an order service. ${notes}\n\n` +
            "Write a report for the team: a summary, the causes with the notes that show them, a plan in order of effect for " +
            "the least work, the risks of each step and how to undo it, what to measure and at which value to call somebody, " +
            "and the questions that the notes leave open. Use headings and keep each paragraph short.",
    },
];

/** Sampling of every request, as in the reference architecture's load test. */
export const temperature = 0.7;

/**
 * The prompt of one request. The draw depends on the three numbers alone, so that the same seed asks the same of the
 * model, whatever the order in which answers come.
 */
export function drawPrompt(seed: number, worker: number, request: number): Prompt {
    const digest = createHash("sha256").update(`${seed} ${worker} ${request}`).digest();
    const total = prompts.reduce((sum, { weight }) => sum + weight, 0);
    let place = (digest.readUInt32BE(0) / 2 ** 32) * total;
    return prompts.find(({ weight }) => (place -= weight) < 0)!;
}
