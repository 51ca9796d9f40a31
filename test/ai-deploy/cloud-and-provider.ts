import { afterAll, beforeAll } from "vitest";
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
