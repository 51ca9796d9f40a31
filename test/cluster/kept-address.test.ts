import { describe, expect, it } from "vitest";
import { deploy, type Deployment } from "../program/deploy";

const config = {
    projectId: "0123456789abcdef0123456789abcdef",
    huggingFaceToken: "hf_test",
    clientKeys: { search: "made-up-key-of-search" },
};
const grafana = { allowedSources: ["198.51.100.7/32"] };
const door = { clients: ["search"], access: "loadBalancer", allowedSources: ["198.51.100.0/24"] };

function withAddresses(keepAddress: boolean, over: Record<string, unknown> = {}): Promise<Deployment> {
    const models = { ministral: { frontDoor: { ...door, keepAddress } } };
    const monitoring = { grafana: { ...grafana, keepAddress } };
    const secretKeys = ["huggingFaceToken", "clientKeys"];
    return deploy({ stack: "dev", config: { ...config, models, monitoring, ...over }, secretKeys });
}

describe("a load balancer that keeps its address", () => {
    it("asks for a floating IP of the stack, in the cluster's region", async () => {
        const stack = await withAddresses(true, { cluster: { region: "SBG5" } });
        const floating = stack.resources.filter(({ type }) => type.endsWith(":FloatingIp"));
        expect(floating.map(({ name, inputs }) => [name, inputs])).toEqual([
            [
                "grafana-address",
                expect.objectContaining({
                    pool: "Ext-Net",
                    region: "SBG5",
                    description: expect.stringMatching(/^grafana/),
                }),
            ],
            ["ministral-front-door-address", expect.objectContaining({ pool: "Ext-Net", region: "SBG5" })],
        ]);
        const services = ["monitoring-grafana-kept", "ministral-front-door-kept"].map((name) =>
            stack.find("Service", name),
        );
        expect(services.map(({ inputs }) => [inputs.metadata.name, inputs.spec.loadBalancerIP])).toEqual([
            ["grafana-kept", "198.51.100.20"],
            ["vllm-front-door-ministral-kept", "198.51.100.21"],
        ]);
    });

    it("is waited for by nobody: in a cluster's successor the address is free only at the very end", async () => {
        const stack = await withAddresses(true);
        for (const name of ["monitoring-grafana-kept", "ministral-front-door-kept"]) {
            expect(stack.find("Service", name).inputs.metadata.annotations["pulumi.com/skipAwait"], name).toBe("true");
        }
        // The times that the door may be silent for are asked all the same.
        const { annotations } = stack.find("Service", "ministral-front-door-kept").inputs.metadata;
        expect(Object.keys(annotations)).toContain("loadbalancer.openstack.org/timeout-client-data");
    });

    it("has it in the outputs, where a certificate hides it, too", async () => {
        const stack = await withAddresses(true);
        expect((await stack.output("addresses")).value).toEqual({
            grafana: "198.51.100.20",
            "ministral-front-door": "198.51.100.21",
        });
        expect((await stack.output("grafanaUrl")).value).toMatch(/^http:\/\/198\.51\.100\.20\/d\//);
        expect((await stack.output("models")).value.ministral.frontDoorUrl).toBe("http://198.51.100.21/v1");
    });

    it("is another object than the one of before, which serves until this one stands", async () => {
        const [before, after] = [await withAddresses(false), await withAddresses(true)];
        const balancers = (stack: Deployment) =>
            stack.resources.filter(({ inputs }) => inputs.spec?.type === "LoadBalancer");
        const namesOf = (stack: Deployment) =>
            balancers(stack).flatMap(({ name, inputs }) => [name, inputs.metadata.name]);
        expect(balancers(before)).toHaveLength(2);
        expect(namesOf(before).filter((name) => namesOf(after).includes(name))).toEqual([]);
        expect(before.resources.filter(({ type }) => type.startsWith("openstack:"))).toEqual([]);
        expect((await before.output("addresses")).value).toEqual({});
    });

    it("is as protected as the cluster", async () => {
        const isProtected = async (protect: boolean) =>
            (await withAddresses(true, { cluster: { protect } })).find("FloatingIp", "grafana-address").protect;
        expect([await isProtected(true), await isProtected(false)]).toEqual([true, false]);
    });
});
