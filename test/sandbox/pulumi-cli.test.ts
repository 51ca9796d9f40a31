import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { resolveCredentials } from "../../packages/ai-deploy/src/api/credentials";
import { sandboxCredentials } from "../../sandbox/credentials";
import { layoutOf } from "../../sandbox/layout";
import { environmentFile, sandboxEnvironment } from "../../sandbox/pulumi-cli";

it.each(["plain", "with space", "it's", 'a "b" $(c) `d`', "50%#&?*[x]"])(
    "the environment of a folder named %s",
    (name) => {
        const dir = join(mkdtempSync(join(tmpdir(), "env-")), name);
        const layout = layoutOf(dir);
        const env = sandboxEnvironment(layout, "http://127.0.0.1:1/v1", join(dir, "ca.pem"));
        const file = join(mkdtempSync(join(tmpdir(), "env-")), "env");
        writeFileSync(file, environmentFile(env, layout.bin));
        // Twice, as people do: PATH gets the folder once.
        const script = 'set -u; source "$1"; source "$1"; printf "%s\\0" "$PATH" "$KUBECONFIG" "$PULUMI_BACKEND_URL"';
        // Without the user's own: bash reads it when its input is a socket, as a child's of Node is.
        const said = execFileSync("bash", ["--norc", "-c", script, "bash", file], { encoding: "utf8" }).split("\0");
        expect(said[0]).toBe(`${layout.bin}:${process.env.PATH}`);
        expect(said[1]).toBe(layout.kubeconfig);
        expect(decodeURIComponent(new URL(said[2]).pathname)).toBe(layout.pulumiState);
    },
);

it.each([
    [1, "50", "5000", "10000"],
    [10, "500", "500", "1000"],
    [60, "3000", "500", "250"],
])("the clients go at the pace of the platform: at %i times real time", (speed, perMinute, pollMs, clusterPollMs) => {
    expect(sandboxEnvironment(layoutOf("/nowhere"), "http://127.0.0.1:1/v1", "ca.pem", speed)).toMatchObject({
        OVH_AI_DEPLOY_REQUESTS_PER_MINUTE: perMinute,
        OVH_AI_DEPLOY_POLL_MS: pollMs,
        OVH_SANDBOX_POLL_MS: clusterPollMs,
    });
});

it("the backend keeps no file beside the state that a kill could leave empty", () => {
    const { PULUMI_BACKEND_URL } = sandboxEnvironment(layoutOf("/made up/#1"), "http://127.0.0.1:1/v1", "ca.pem");
    expect(PULUMI_BACKEND_URL).toBe("file:///made%20up/%231/pulumi/state?metadata=skip");
});

it("credentials for the real OVHcloud, of whatever kind, do not meet those of the sandbox", () => {
    const real = {
        OVH_ENDPOINT: "ovh-eu",
        OVH_CLIENT_ID: "an-id",
        OVH_CLIENT_SECRET: "a-secret",
        OVH_ACCESS_TOKEN: "t",
    };
    const { applicationKey, applicationSecret, consumerKey } = sandboxCredentials;
    const env = { ...real, ...sandboxEnvironment(layoutOf("/made/up"), "http://127.0.0.1:1/v1", "/made/up/ca.pem") };
    expect(resolveCredentials({ config: () => undefined, env, files: [] })).toMatchObject({
        auth: { applicationKey, applicationSecret, consumerKey },
    });
});
