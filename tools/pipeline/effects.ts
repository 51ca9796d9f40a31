import { kindOf, type Step } from "./events";

/** What a step does to those who use the stack. */
export type Effect = "created" | "replaced" | "restarted" | "changed" | "deleted";

/** A step in words. */
export interface Consequence {
    effect: Effect;
    /** `App ministral: image` */
    what: string;
    /** What it interrupts, loses or starts to bill; absent where nobody notices. */
    interrupts?: string;
}

/** Inputs of an app that the platform changes while its replicas go on. */
const appWithoutRestart = ["labels", "scalingStrategy", "adoptionLabel", "timeouts", "names"];

/** Inputs of a Helm release, or of an object, that tell Pulumi something and the cluster nothing. */
const unseen = ["skipAwait", "timeout", "waitForJobs"];

/** A step of a preview in words. */
export function consequenceOf(step: Step): Consequence {
    const effect = effectOf(step);
    const kind = kindOf(step);
    const keys = effect === "replaced" && step.replacedFor.length > 0 ? step.replacedFor : step.changed;
    const names = effect === "created" || effect === "deleted" ? "" : keys.join(", ");
    const interrupts = interruption[kind]?.(effect, step);
    return { effect, what: `${kind} ${step.name}${names && `: ${names}`}`, ...(interrupts && { interrupts }) };
}

function effectOf(step: Step): Effect {
    if (step.op === "create" || step.op === "import") return "created";
    if (step.op === "delete") return "deleted";
    if (step.op === "replace") return "replaced";
    return restarts(step) ? "restarted" : "changed";
}

function restarts(step: Step): boolean {
    const { changed } = step;
    switch (kindOf(step)) {
        case "App":
            return changed.some((key) => !appWithoutRestart.includes(key)) || changed.length === 0;
        case "Release":
            return changed.some((key) => !unseen.includes(key));
        case "Deployment":
            return JSON.stringify(step.before?.spec?.template) !== JSON.stringify(step.after?.spec?.template);
        case "Kube":
            return changed.includes("version");
        default:
            return false;
    }
}

/** Sentences by kind of resource. Sources: docs/upgrading.md, packages/ai-deploy/README.md. */
const interruption: Record<string, (effect: Effect, step: Step) => string | undefined> = {
    App: (effect, step) => {
        switch (effect) {
            case "created":
                return `bills ${replicasOf(step)} from its start`;
            case "replaced":
                return "the model gets another id and address; nothing answers from the end of the old app until the new one serves, unless replaceFirst is set";
            case "restarted":
                return restartOf(step);
            case "deleted":
                return "the model stops answering for good, and what is on its standalone volumes is lost";
            case "changed":
                return undefined;
        }
    },
    Token: (effect) =>
        effect === "replaced" || effect === "deleted" ? "who uses this token is refused once it is gone" : undefined,
    Kube: (effect, { changed }) => {
        if (effect === "replaced" || effect === "deleted") {
            return "Prometheus, Grafana and Alertmanager go, with all metrics, silences and dashboards of their own; the models serve on";
        }
        if (effect === "restarted") {
            return "each node is exchanged: gaps of minutes in metrics and alerts; the models serve on";
        }
        return changed.includes("updatePolicy") ? "OVHcloud exchanges nodes by this policy from now on" : undefined;
    },
    KubeNodePool: (effect) => {
        if (effect === "replaced") {
            return "the new pool comes first and both are billed until the old one is drained; the monitoring moves, with gaps of minutes";
        }
        return effect === "deleted" ? "what runs on its nodes stops" : undefined;
    },
    Release: (effect) => {
        if (effect === "deleted" || effect === "replaced") {
            return "the monitoring stops: no metrics and no alerts until it is back";
        }
        return effect === "restarted"
            ? "Prometheus, Alertmanager or Grafana may restart: a gap of a minute or two in the metrics"
            : undefined;
    },
    Namespace: (effect) =>
        effect === "deleted" || effect === "replaced" ? "everything in it is deleted, volumes included" : undefined,
    Deployment: (effect) =>
        effect === "restarted" || effect === "replaced"
            ? "the relay restarts: no metrics per replica for some seconds"
            : undefined,
    RandomPassword: (effect) => (effect === "replaced" ? "Grafana's administrator gets another password" : undefined),
    Network: (effect) => networkGone(effect),
    Subnet: (effect) => networkGone(effect),
};

function networkGone(effect: Effect): string | undefined {
    return effect === "deleted" || effect === "replaced" ? "the cluster in this network cannot outlive it" : undefined;
}

function restartOf({ changed, before, after }: Step): string {
    const goesDown = changed.includes("desiredState") && after?.desiredState === "STOPPED";
    if (goesDown) return "the model stops answering; its address stays, and nothing is billed";
    if (changed.includes("desiredState") && before?.desiredState === "STOPPED") {
        return "the app starts again, and is billed";
    }
    const surge: unknown = after?.deploymentStrategy?.maxSurge;
    const least = Number(
        after?.scalingStrategy?.automatic?.replicasMin ?? after?.scalingStrategy?.fixed?.replicas ?? 1,
    );
    const how = "its replicas are exchanged by models.NAME.deploymentStrategy";
    return least <= 1 && !surge
        ? `${how}; with one replica nothing answers while the new one loads the model, which is minutes`
        : how;
}

function replicasOf({ after }: Step): string {
    const { flavor, gpu = 1 } = (after?.resources ?? {}) as { flavor?: string; gpu?: number };
    const { automatic, fixed } = (after?.scalingStrategy ?? {}) as {
        automatic?: { replicasMin: number; replicasMax: number };
        fixed?: { replicas: number };
    };
    const [least, most] = [
        automatic?.replicasMin ?? fixed?.replicas ?? 1,
        automatic?.replicasMax ?? fixed?.replicas ?? 1,
    ];
    const range = least === most ? `${least}` : `${least} to ${most}`;
    return `${range} x ${gpu} ${flavor ?? "GPU"}`;
}
