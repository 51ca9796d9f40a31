import type { OvhClient } from "./client";

/**
 * Quick looks that only make a preview better. Each is asked once per process, and a failure is remembered too, so that it
 * costs one time-out.
 */
export class Glances {
    private readonly answers = new Map<string, Promise<unknown>>();

    constructor(private readonly client: OvhClient) {}

    /** `undefined` if the answer cannot be had now. */
    get<T>(path: string): Promise<T | undefined> {
        return this.once(path, () => this.client.glance<T>(path));
    }

    /** The same for a question that takes more than one request. `question`: a text that tells it from others. */
    once<T>(question: string, ask: () => Promise<T>): Promise<T | undefined> {
        let answer = this.answers.get(question) as Promise<T | undefined> | undefined;
        if (!answer) {
            answer = ask().catch(() => undefined);
            this.answers.set(question, answer);
        }
        return answer;
    }
}
