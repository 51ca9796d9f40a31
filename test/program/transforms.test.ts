import { afterEach, expect, it, vi } from "vitest";
import type { transforms } from "../../transforms";
import { deploy } from "./deploy";

afterEach(() => vi.doUnmock("../../transforms"));

it("the transforms have the last word on what each component makes", async () => {
    const own: typeof transforms = {
        model: {
            app: (args, opts, name) => {
                args.labels = { ...(args.labels as Record<string, string>), team: name };
                opts.protect = true;
            },
            clientToken: { name: "gateway" },
        },
        cluster: {
            kube: { name: "other" },
            nodePool: { antiAffinity: true },
            provider: { context: "own" },
        },
        monitoring: { release: { timeout: 1800 }, dashboard: { immutable: true } },
        modelMonitoring: {
            rules: (args) => void Object.assign(args.metadata!, { labels: { team: "own" } }),
            relayDeployment: (args) => void Object.assign(args.metadata!, { annotations: { own: "1" } }),
        },
    };
    vi.doMock("../../transforms", () => ({ transforms: own }));
    const stack = await deploy({ stack: "sandbox" });
    expect(stack.find("App").inputs.labels).toMatchObject({ ai_deploy_token: expect.any(String), team: "ministral" });
    expect(stack.find("App").protect).toBe(true);
    expect(stack.find("Token", "ministral-client").inputs.name).toBe("gateway");
    expect(stack.find("Token", "ministral-scrape").inputs.name).not.toBe("gateway");
    expect(stack.find("Kube").inputs.name).toBe("other");
    expect(stack.find("KubeNodePool").inputs.antiAffinity).toBe(true);
    expect(stack.find("Release").inputs).toMatchObject({ timeout: 1800, maxHistory: 3 });
    const dashboards = stack.resources.filter(({ name }) => name.startsWith("monitoring-dashboard-"));
    expect(dashboards.length).toBeGreaterThan(1);
    for (const { inputs } of dashboards) expect(inputs.immutable).toBe(true);
    expect(stack.find("PrometheusRule", "ministral-rules").inputs.metadata).toMatchObject({
        labels: { team: "own" },
        name: "vllm-ministral",
    });
    expect(stack.find("Deployment").inputs.metadata.annotations).toEqual({ own: "1" });
    expect(stack.find("Service", "ministral-relay").inputs.metadata.annotations).toBeUndefined();
});
