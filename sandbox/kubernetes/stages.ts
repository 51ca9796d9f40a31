import { doorApp } from "../../src/front-door/manifests";
import { loadtestApp } from "../../tools/loadtest/in-cluster/manifests";

/**
 * What kwok makes of nodes and pods, as its Stage objects (https://kwok.sigs.k8s.io/docs/user/stages-configuration): nodes
 * become ready and stay so, pods run, those of jobs complete, and what is deleted goes at once; of a load test's pods the last
 * two are left to `loadtest-pods.ts`, and of front doors' all of it to `front-door-pods.ts`. Templates are Go's, of YAML.
 */

const ready = '.status.conditions.[] | select( .type == "Ready" ) | .status';
const deleted = ".metadata.deletionTimestamp";
const app = ".metadata.labels.app";

const nodeConditions = `
conditions:
{{ range NodeConditions }}
- { type: {{ .type | Quote }}, status: {{ .status | Quote }}, reason: {{ .reason | Quote }}, message: {{ .message | Quote }}, lastHeartbeatTime: {{ Now | Quote }}, lastTransitionTime: {{ $.metadata.creationTimestamp | Quote }} }
{{ end }}`;

const nodeStatus = `${nodeConditions}
addresses:
- { type: InternalIP, address: {{ NodeIP | Quote }} }
- { type: Hostname, address: {{ .metadata.name | Quote }} }
phase: Running`;

const runningPod = `
{{ $now := Now }}
conditions:
{{ range tuple "Initialized" "Ready" "ContainersReady" }}
- { type: {{ . }}, status: "True", lastTransitionTime: {{ $now | Quote }} }
{{ end }}
{{ range .spec.readinessGates }}
- { type: {{ .conditionType | Quote }}, status: "True", lastTransitionTime: {{ $now | Quote }} }
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- { name: {{ .name | Quote }}, image: {{ .image | Quote }}, ready: true, restartCount: 0, state: { running: { startedAt: {{ $now | Quote }} } } }
{{ end }}
initContainerStatuses:
{{ range .spec.initContainers }}
{{ if eq .restartPolicy "Always" }}
- { name: {{ .name | Quote }}, image: {{ .image | Quote }}, ready: true, started: true, restartCount: 0, state: { running: { startedAt: {{ $now | Quote }} } } }
{{ else }}
- { name: {{ .name | Quote }}, image: {{ .image | Quote }}, ready: true, restartCount: 0, state: { terminated: { exitCode: 0, reason: Completed, startedAt: {{ $now | Quote }}, finishedAt: {{ $now | Quote }} } } }
{{ end }}
{{ end }}
{{ with NodeIPsWith .spec.nodeName }}
hostIP: {{ index . 0 | Quote }}
hostIPs: [{{ range . }}{ ip: {{ . | Quote }} },{{ end }}]
{{ end }}
{{ with PodIPsWith .spec.nodeName ( or .spec.hostNetwork false ) ( or .metadata.uid "" ) ( or .metadata.name "" ) ( or .metadata.namespace "" ) }}
podIP: {{ index . 0 | Quote }}
podIPs: [{{ range . }}{ ip: {{ . | Quote }} },{{ end }}]
{{ end }}
phase: Running
startTime: {{ $now | Quote }}`;

const completedPod = `
{{ $now := Now }}
containerStatuses:
{{ range .spec.containers }}
- { name: {{ .name | Quote }}, image: {{ .image | Quote }}, ready: false, started: false, restartCount: 0, state: { terminated: { exitCode: 0, reason: Completed, startedAt: {{ $now | Quote }}, finishedAt: {{ $now | Quote }} } } }
{{ end }}
phase: Succeeded`;

type Match = [key: string, operator: "In" | "NotIn" | "Exists" | "DoesNotExist", ...values: string[]];

function stage(name: string, kind: "Node" | "Pod", matches: Match[], next: object, more: object = {}): object {
    const matchExpressions = matches.map(([key, operator, ...values]) =>
        values.length > 0 ? { key, operator, values } : { key, operator },
    );
    return {
        apiVersion: "kwok.x-k8s.io/v1alpha1",
        kind: "Stage",
        metadata: { name },
        spec: { resourceRef: { apiGroup: "v1", kind }, selector: { matchExpressions }, next, ...more },
    };
}

export const stages: object[] = [
    stage("node-ready", "Node", [[ready, "NotIn", "True"]], { statusTemplate: nodeStatus }),
    stage(
        "node-heartbeat",
        "Node",
        [[ready, "In", "True"]],
        { statusTemplate: nodeConditions },
        { delay: { durationMilliseconds: 20_000, jitterDurationMilliseconds: 25_000 }, immediateNextStage: true },
    ),
    stage(
        "pod-run",
        "Pod",
        [
            [deleted, "DoesNotExist"],
            [".status.phase", "In", "Pending"],
            [ready, "NotIn", "True"],
            [app, "NotIn", doorApp],
        ],
        { statusTemplate: runningPod },
    ),
    stage(
        "pod-complete",
        "Pod",
        [
            [deleted, "DoesNotExist"],
            [".status.phase", "In", "Running"],
            [".metadata.ownerReferences.[].kind", "In", "Job"],
            [app, "NotIn", loadtestApp],
        ],
        { statusTemplate: completedPod },
    ),
    stage(
        "pod-delete",
        "Pod",
        [
            [deleted, "Exists"],
            [app, "NotIn", loadtestApp, doorApp],
        ],
        { delete: true },
    ),
];
