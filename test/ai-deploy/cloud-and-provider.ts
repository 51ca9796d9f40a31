import { afterAll, beforeAll, beforeEach } from "vitest";
import { startTestCloud, type TestCloud } from "./cloud";
import { startProvider, type ProviderProcess } from "./provider-process";

export interface CloudAndProvider {
    cloud: TestCloud;
    provider: ProviderProcess;
}

/** An emulated OVHcloud and a provider process that works with it, for all tests of a file. `take` is handed them first. */
export function startCloudAndProvider(take: (started: CloudAndProvider) => void): void {
    let started: CloudAndProvider;
    beforeAll(async () => {
        const cloud = await startTestCloud();
        started = { cloud, provider: await startProvider(cloud.env) };
        take(started);
    });
    afterAll(async () => {
        await started.provider.close();
        await started.cloud.close();
    });
}

/** Begins each test of a file without apps. Gives an adoption label that no other test of the file has. */
export function startEachEmpty(cloud: () => TestCloud): () => string {
    let tests = 0;
    beforeEach(async () => {
        tests++;
        await cloud().reset();
    });
    return () => `label-${tests}`;
}
