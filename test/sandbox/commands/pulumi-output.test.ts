import { describe, expect, it } from "vitest";
import { failureOf, PulumiProgress } from "../../../sandbox/commands/pulumi-output";

/** Lines as Pulumi 3.259 prints them without a terminal. */
const up = `Updating (sandbox):

 +  pulumi:pulumi:Stack ovhcloud-llm-serving-sandbox creating (0s)
@ updating....
 +  ovhcloud-llm-serving:cluster:Cluster cluster creating (0s)
 +  ovh:CloudProject:Kube cluster creating (0s)
 +  pulumi-nodejs:dynamic/ovh-ai-deploy:Token ministral-scrape creating (0s)
 +  pulumi:pulumi:Stack ovhcloud-llm-serving-sandbox creating (2s) app QUEUED after 0 s
 +  pulumi-nodejs:dynamic/ovh-ai-deploy:Token ministral-scrape created (0.04s)
 +  kubernetes:core/v1:Service ministral-relay creating (0s) [1/3] Finding Pods to direct traffic to
 +  ovh:CloudProject:Kube cluster **creating failed** 1 error
 ~  pulumi-nodejs:dynamic/ovh-ai-deploy:App ministral updating (1s) [diff: ~scalingStrategy]
 ~  pulumi-nodejs:dynamic/ovh-ai-deploy:App ministral updated (0.53s) [diff: ~scalingStrategy]
 +- random:index:RandomPassword monitoring-grafana-password replaced (0.30s)
Outputs:
    appId                : "0d7a94ad-6951-46c8-8a08-d9731a8c3e4b"

Resources:
    + 1 created
    ~ 1 updated
    +-1 replaced
    30 unchanged

Duration: 26s
`;

it("says what it is at, and what has come of it", () => {
    const progress = new PulumiProgress();
    const at = up.split("\n").map((line) => progress.read(line));
    expect(at.filter((text) => text !== undefined)).toEqual([
        "0 done; Kube cluster",
        "0 done; Kube cluster, Token ministral-scrape",
        "1 done; Kube cluster",
        "1 done; Kube cluster, Service ministral-relay",
        "1 done; Service ministral-relay",
        "1 done; Service ministral-relay, App ministral",
        "2 done; Service ministral-relay",
        "3 done; Service ministral-relay",
    ]);
    expect(progress.summary).toBe("1 created, 1 updated, 1 replaced, 30 unchanged");
});

describe("why it failed", () => {
    it("is each error with its resource, and no warning", () => {
        const output = `@ updating....
Diagnostics:
  pulumi:pulumi:Stack (ovhcloud-llm-serving-sandbox):
    app QUEUED after 0 s

    warning: alerting.routes.page: nobody is told
    error: update failed

  pulumi-nodejs:dynamic/ovh-ai-deploy:AppReady (ministral):
    error: the app is FAILED
      its log ends with: out of memory

      what helps: another flavor

Outputs:
    appId: "0d7a94ad"
`;
        expect(failureOf(output)).toEqual([
            "  pulumi-nodejs:dynamic/ovh-ai-deploy:AppReady (ministral):",
            "    error: the app is FAILED",
            "      its log ends with: out of memory",
            "      what helps: another flavor",
        ]);
    });

    it("is that of the program, when it refuses the config", () => {
        const output = `Diagnostics:
  pulumi:pulumi:Stack (ovhcloud-llm-serving-sandbox):
    error: the stack config has 1 fault, so nothing was changed:
      ovhcloud-llm-serving:models.ministral.replicas.max: 0; give at least 1

Resources:
    1 errored
`;
        expect(failureOf(output).slice(1)).toEqual([
            "    error: the stack config has 1 fault, so nothing was changed:",
            "      ovhcloud-llm-serving:models.ministral.replicas.max: 0; give at least 1",
        ]);
    });

    it("is the last lines, when Pulumi has not begun", () => {
        expect(failureOf("one\ntwo\nerror: the stack is locked\n", 2)).toEqual(["two", "error: the stack is locked"]);
    });

    it("is cut when it is long", () => {
        const errors = Array.from({ length: 9 }, (_, i) => `    error: number ${i}`).join("\n");
        const shown = failureOf(`Diagnostics:\n  a:b:C (d):\n${errors}\n`, 4);
        expect(shown).toEqual([
            ...["  a:b:C (d):", 0, 1, 2].map((n) => (typeof n === "number" ? `    error: number ${n}` : n)),
            "... 6 more lines",
        ]);
    });
});
