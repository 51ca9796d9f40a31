/** The ten steps of `npm run sandbox -- tour`: what a person types, and sees. */

export interface TourStep {
    title: string;
    /** What it shows of the architecture, in a sentence or two. */
    about: string;
    /** Lines for bash, in the checkout, with `.sandbox/env` sourced. They work as pasted. */
    command: string;
    /** What to look for in the output. */
    sees: string;
    /** What the output holds when that is there. */
    seen: RegExp;
    /** Whether the command is to fail, which is then what it shows. */
    fails?: boolean;
    /** What it changes of the stack; the end of the tour puts that back. */
    changes?: string;
    /** What it changes passes by itself. */
    passes?: boolean;
}

const quiet = "--yes --skip-preview --suppress-outputs --suppress-progress";

/** What every preview and up warns of, and the first one has said. */
const known = "grep -vE 'warning|cost:'";

/** Sends a header with the token by way of a pipe, so that no list of processes shows it, and prints the status. */
const status = `curl -s -o /dev/null -w '%{http_code}\\n' --cacert "$OVH_SANDBOX_CA"`;
const header = `echo "Authorization: Bearer $(pulumi stack output clientToken --show-secrets)"`;

/** What puts back whatever the steps have changed. */
export const putBackCommand = `pulumi up ${quiet} --stack sandbox`;

/**
 * @param prometheus URL of the sandbox's Prometheus
 * @param config a copy of `Pulumi.sandbox.yaml` that the steps change in its place
 * @param mistake path of a copy that is not used for anything else
 */
export function tourSteps(prometheus: string, config: string, mistake: string): TourStep[] {
    const onTour = `--stack sandbox --config-file ${config}`;
    return [
        {
            title: "What runs",
            about: "One app on AI Deploy, one cluster that watches it. Of each part: is it the real one?",
            command: "npm run --silent sandbox -- status",
            sees: "the app RUNNING with one replica, and where API, Prometheus and console are",
            seen: /RUNNING/,
        },
        {
            title: "Ask the model",
            about: "An OpenAI-compatible API behind a token. Nobody comes in without one.",
            command: `url="$(pulumi stack output openAiBaseUrl)"
${header} |
    curl -sS --cacert "$OVH_SANDBOX_CA" "$url/chat/completions" -H @- -H "Content-Type: application/json" \\
    -d '{"model": "mistralai/Ministral-3-14B-Instruct-2512", "max_tokens": 24, "messages": [{"role": "user", "content": "Hello"}]}'
echo
${status} "$url/models"`,
            sees: "an answer with its tokens counted; then 401, without the token",
            seen: /"completion_tokens"[\s\S]*\n401\n/,
        },
        {
            title: "Watch the metric",
            about: "vLLM says how many requests run. The autoscaler goes by it, and Prometheus has it of every replica.",
            command: `promtool query instant ${prometheus} 'vllm:num_requests_running'`,
            sees: "one line for each replica, with 0 running; the target is 50 (Pulumi.dev.yaml)",
            seen: /vllm:num_requests_running\{.*replica=/,
        },
        {
            title: "Make a mistake",
            about: "What is set is checked before anything is made, all of it at once.",
            command: `cp Pulumi.sandbox.yaml ${mistake}
pulumi config set --path models.ministral.replicas.max 0 --config-file ${mistake}
pulumi preview --stack sandbox --config-file ${mistake} --suppress-progress`,
            sees: "the setting, what was found, and what would be right; nothing was touched",
            seen: /models\.ministral\.replicas\.max/,
            fails: true,
        },
        {
            title: "Force a scale-up",
            about: "160 clients ask at once. The metric passes its target, replicas are asked for, boot (in seconds here, in minutes on OVHcloud) and serve; when the load is over they go again.",
            // 3: on one machine with all the others the client is soon the limit, which keeps no replica from starting.
            command: `npm run --silent loadtest -- --stack sandbox --workers 160 --requests 8 --max-tokens 256 || [ $? = 3 ]`,
            sees: '"Ready replicas: 1 -> 2 -> 3", and latency falling once they serve; the console draws it',
            seen: /[Rr]eady replicas.*-> [23]/,
            changes: "the number of replicas, for some seconds",
            passes: true,
        },
        {
            title: "Break a replica",
            about: "A replica crashes. The platform restarts its container, and the gateway sends nobody to it meanwhile.",
            command: `npm run --silent sandbox -- fault crash
url="$(pulumi stack output openAiBaseUrl)/models"
token="$(pulumi stack output clientToken --show-secrets)"
for second in $(seq 60); do
    answer="$(echo "Authorization: Bearer $token" | ${status.replace("\\n", "")} "$url" -H @-)" || true
    echo "$answer"
    if [ "$answer" = 200 ]; then break; fi
    sleep 1
done`,
            sees: "503 as long as there is no other replica, then 200 again",
            seen: /\n200\n/,
            changes: "one replica restarts",
            passes: true,
        },
        {
            title: "See what would wake you",
            about: "Alerts in three tiers, each with a runbook in docs/operations. One fires always: when it stops, the monitoring is down.",
            command: `kubectl get prometheusrules --namespace monitoring
promtool query instant ${prometheus} 'count by (alertname, alertstate) (ALERTS)'`,
            sees: "DeadMansSwitch firing; others only when something is wrong for minutes",
            seen: /DeadMansSwitch/,
        },
        {
            title: "Change the target",
            about: "A scaling target is changed in place: no replica restarts, app and address stay.",
            command: `pulumi config set --path models.ministral.scaling.target 40 --config-file ${config}
pulumi up ${quiet} ${onTour} | ${known}`,
            sees: "the app updated, everything else unchanged",
            seen: /App ministral updated/,
            changes: "the scaling target, 50 to 40",
        },
        {
            title: "Rotate a token",
            about: "A new client token; the one before works on for a day, so that no client is refused meanwhile.",
            command: `old="$(pulumi stack output clientToken --show-secrets)"
pulumi config set --plaintext --path models.ministral.tokens.clientRotation "$(date +%FT%T)" --config-file ${config}
pulumi up ${quiet} ${onTour} | ${known}
new="$(pulumi stack output clientToken --show-secrets)"
if [ "$old" != "$new" ]; then echo "another token"; fi
for token in "$old" "$new"; do
    echo "Authorization: Bearer $token" | ${status} "$(pulumi stack output openAiBaseUrl)/models" -H @-
done`,
            sees: '"another token", then 200 with the old one and 200 with the new one',
            seen: /another token\n200\n200\n/,
            changes: "the client token",
        },
        {
            title: "Tear down",
            about: "Everything that is billed is gone when this ends: OVHcloud says so, not just Pulumi.",
            command: `pulumi destroy --yes --skip-preview --suppress-progress ${onTour} | ${known} | tail -n 20
npm run --silent sandbox -- status | grep -i apps`,
            sees: '"no apps"; the local OVHcloud itself runs on',
            seen: /no apps/,
            changes: 'all of it is deleted: "npm run sandbox" brings it up again',
        },
    ];
}
