import type { FaultStatus } from "../../ovhcloud/status";
import type { AppView, LoadView, Update } from "../state";
import { byId, clock, element, figure, fill, seconds, type Child } from "../../../tools/dashboards/page/element";

/** What a person can do, and what came of it. */
export class Controls {
    private app?: AppView;

    constructor() {
        onSubmit("load-form", (form) =>
            act("POST", "/load", {
                app: this.app?.id,
                workers: Number(form.get("workers")),
                requests: Number(form.get("requests")),
            }),
        );
        byId("load-stop").addEventListener("click", () => void act("DELETE", "/load"));
        onSubmit("app-fault-form", (form, kind) => {
            // What starts later has no number yet.
            const replica = ["image-pull", "hf-401"].includes(kind) ? "" : textOf(form, "replica");
            return act("POST", `/apps/${this.app?.id ?? "none"}/faults`, {
                kind,
                ...(replica === "" ? {} : { replica: Number(replica) }),
                ...(kind === "errors" ? { rate: 0.2, status: 500 } : {}),
                ...(kind === "metrics" ? { metrics: [textOf(form, "metric")] } : {}),
                ...lasting(kind, form),
            });
        });
        onSubmit("platform-fault-form", (form, kind) =>
            act("POST", "/platform/faults", { kind, ...lasting(kind, form) }),
        );
        byId("faults-clear").addEventListener("click", () => {
            void act("DELETE", "/platform/faults");
            if (this.app) void act("DELETE", `/apps/${this.app.id}/faults`);
        });
        const platform = byId<HTMLFormElement>("speed-form");
        platform.addEventListener("change", ({ target }) => {
            const { name, value } = target as HTMLSelectElement;
            void act("POST", `/${name}`, { [name]: name === "speed" ? Number(value) : value });
        });
    }

    /** Shows the state; `app` is the one that the controls are for. */
    show({ cloud, load }: Update, app: AppView | undefined): void {
        this.app = app;
        const running = load.state === "running";
        button("load-stop").disabled = !running;
        button("faults-clear").disabled = cloud.faults.length === 0;
        for (const id of ["load-form", "app-fault-form"]) {
            for (const submit of byId(id).querySelectorAll<HTMLButtonElement>("button[type=submit]")) {
                submit.disabled = !app || (id === "load-form" && running);
            }
        }
        fill(byId("load-state"), ...loadText(load));
        fill(byId("faults"), ...faultTexts(cloud.faults, cloud.apps));
        showChoice("speed", String(cloud.speed), `${figure(cloud.speed)} x`);
        if (app) showChoice("balancing", app.gateway.balancing, app.gateway.balancing);
        showReplicas(app);
    }
}

function button(id: string): HTMLButtonElement {
    return byId<HTMLButtonElement>(id);
}

/** Calls `work` with the form's fields and the value of the button that was pressed. */
function onSubmit(id: string, work: (form: FormData, pressed: string) => Promise<void>): void {
    byId<HTMLFormElement>(id).addEventListener("submit", (event) => {
        event.preventDefault();
        const pressed = (event.submitter as HTMLButtonElement | null)?.value ?? "";
        void work(new FormData(event.currentTarget as HTMLFormElement), pressed);
    });
}

function textOf(form: FormData, name: string): string {
    return form.get(name) as string;
}

/** Some faults happen once and have no duration. */
function lasting(kind: string, form: FormData): { forSeconds?: number } {
    const duration = textOf(form, "for");
    const once = ["crash", "oom", "token-revoked"].includes(kind);
    return once || duration === "" ? {} : { forSeconds: Number(duration) };
}

/** Asks the console for something; says so when it refuses. */
async function act(method: string, path: string, body?: object): Promise<void> {
    const message = byId("message");
    try {
        const answer = await fetch(path, { method, body: body && JSON.stringify(body) });
        const value = (await answer.json()) as { message?: string };
        message.textContent = answer.ok ? "" : (value.message ?? `the console answers ${answer.status}`);
    } catch {
        message.textContent = "the console does not answer: does the sandbox run?";
    }
}

/** Selects the value, unless the person is choosing right now; adds it when it is none of the offered ones. */
function showChoice(name: string, value: string, title: string): void {
    const select = byId("speed-form").querySelector<HTMLSelectElement>(`[name=${name}]`)!;
    if (document.activeElement === select && select.value !== value && select.dataset.shown === value) return;
    if (![...select.options].some((option) => option.value === value)) select.append(new Option(title, value));
    if (select.dataset.shown !== value) select.value = value;
    select.dataset.shown = value;
}

function showReplicas(app: AppView | undefined): void {
    const select = byId("app-fault-form").querySelector<HTMLSelectElement>("[name=replica]")!;
    const wanted = ["", ...(app?.replicas ?? []).map(({ index }) => String(index))];
    if (wanted.join() === [...select.options].map(({ value }) => value).join()) return;
    const chosen = select.value;
    select.replaceChildren(...wanted.map((index) => new Option(index === "" ? "all" : `#${index}`, index)));
    if (wanted.includes(chosen)) select.value = chosen;
}

function faultTexts(faults: FaultStatus[], apps: AppView[]): Child[] {
    if (faults.length === 0) return [element("p", { class: "dim" }, "none")];
    return [
        element(
            "ul",
            {},
            ...faults.map(({ kind, app, replica, state, beginsAt, endsAt, rate, status, metrics }) => {
                const of = app === undefined ? "platform" : (apps.find(({ id }) => id === app)?.name ?? app);
                const where = replica === undefined ? of : `${of} #${replica}`;
                const when = state === "scheduled" ? `from ${clock(beginsAt)}` : "now";
                return element(
                    "li",
                    {},
                    element("strong", {}, kind),
                    rate === undefined ? "" : ` ${figure(100 * rate)} % ${status}`,
                    metrics === undefined ? "" : ` ${metrics.join(" ")}`,
                    ` ${where}, ${when}, ${endsAt ? `until ${clock(endsAt)}` : "until ended"}`,
                );
            }),
        ),
    ];
}

function loadText({ state, workers, requests, startedAt, line, exitCode, result }: LoadView): Child[] {
    if (state === "idle") return [];
    const what = `${workers} workers x ${requests} requests, started ${clock(startedAt!)}`;
    if (state === "running") return [element("p", {}, `Running: ${what}`), element("p", { class: "dim" }, line ?? "")];
    if (!result) return [element("p", { class: "bad" }, `Failed (exit code ${exitCode}): ${line ?? ""}`)];
    const { ok, errors, errorsByKind, latency, ttft, clientLimits } = result;
    const kinds = Object.entries(errorsByKind).map(([kind, count]) => `${count} x ${kind}`);
    return [
        element(
            "p",
            {},
            `Ended after ${seconds(result.wallSeconds)}: ${ok} ok, ${errors} errors${kinds.length > 0 ? ` (${kinds.join(", ")})` : ""}`,
        ),
        element(
            "p",
            {},
            `${figure(result.requestsPerSecond)} requests/s, ${figure(result.outputTokensPerSecond)} output tokens/s` +
                (latency ? `; latency p50 ${seconds(latency.p50)}, p95 ${seconds(latency.p95)}` : "") +
                (ttft ? `; first token p50 ${seconds(ttft.p50)}, p95 ${seconds(ttft.p95)}` : ""),
        ),
        clientLimits.length > 0 &&
            element("p", { class: "warn" }, `The client may have been the limit: ${clientLimits.join("; ")}`),
    ];
}
