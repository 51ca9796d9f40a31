import { readMarks, type Mark } from "./annotations";
import { parametersOf, uidOf, viewOf, type View } from "./address";
import { byId, element, fill } from "./element";
import type { Dashboard, PanelJson } from "./grafana";
import { Panel } from "./panel";
import { Prometheus, QueryError } from "./prometheus";
import { rangeTitle, spanOf, stepOf } from "./time-range";
import { linkList, Toolbar } from "./toolbar";
import { readVariables, variablesOf, type Variable } from "./variables";

/** One dashboard, live. `document.body.dataset.state` is `ready` when everything that was asked has been answered and drawn. */
class DashboardPage {
    /** Without controls, for a screen on the wall or a picture. */
    private readonly kiosk: boolean;
    private readonly view: View;
    private readonly variables: Variable[];
    private readonly panels: Panel[] = [];
    private readonly toolbar: Toolbar;
    private looking = new AbortController();
    private timer: ReturnType<typeof setTimeout> | undefined;

    constructor(private readonly dashboard: Dashboard) {
        const address = new URLSearchParams(location.search);
        this.kiosk = address.has("kiosk");
        const { fault, ...view } = viewOf(dashboard, address);
        this.view = view;
        this.variables = variablesOf(dashboard.templating.list, address);
        document.title = dashboard.title;
        byId("title").textContent = dashboard.title;
        byId("description").textContent = dashboard.description;
        document.body.classList.toggle("kiosk", this.kiosk);
        for (const row of rowsOf(dashboard.panels)) byId("rows").append(this.row(row));
        this.toolbar = new Toolbar(dashboard, this.view, this.variables, () => this.changed());
        if (fault !== undefined) byId("message").textContent = fault;
        document.addEventListener("visibilitychange", () => {
            if (document.body.dataset.state !== "loading") void this.look();
        });
    }

    private row({ title, panels }: { title: string; panels: PanelJson[] }): HTMLElement {
        const made = panels.map((panel) => new Panel(panel, (from, to) => this.zoom(from, to)));
        this.panels.push(...made);
        return element(
            "section",
            { class: "row" },
            element("h2", {}, title),
            element("div", { class: "panels" }, ...made.map(({ card }) => card)),
        );
    }

    private zoom(from: number, to: number): void {
        this.view.range = { from: String(Math.round(from * 1000)), to: String(Math.round(to * 1000)) };
        this.toolbar.showRange();
        this.changed();
    }

    private changed(): void {
        byId("message").textContent = "";
        const query = this.parameters().toString();
        window.history.replaceState(null, "", location.pathname + (query === "" ? "" : `?${query}`));
        void this.look();
    }

    private parameters(): URLSearchParams {
        return parametersOf(this.dashboard, this.view, this.variables, this.kiosk);
    }

    /** Asks for everything once; a look that is still going on is given up. */
    async look(): Promise<void> {
        // Nobody sees it; the next look comes when somebody does.
        if (document.hidden) return;
        this.looking.abort();
        clearTimeout(this.timer);
        const looking = (this.looking = new AbortController());
        document.body.dataset.state = "loading";
        try {
            await this.ask(looking.signal);
        } catch (error) {
            if (looking.signal.aborted) return;
            if (!(error instanceof QueryError)) throw error;
            this.fail(error.message);
        }
        if (looking.signal.aborted) return;
        document.body.dataset.state = "ready";
        if (this.view.refresh > 0) this.timer = setTimeout(() => void this.look(), this.view.refresh * 1000);
    }

    private async ask(signal: AbortSignal): Promise<void> {
        const now = Math.floor(Date.now() / 1000);
        const span = spanOf(this.view.range, now)!;
        const ask = (values: Record<string, string>) => new Prometheus(span, stepOf(span), values, signal);
        const values = await readVariables(this.variables, ask);
        this.toolbar.show();
        const links = linkList(this.dashboard, values, this.parameters());
        fill(byId("links"), element("a", { href: "/" }, "Local OVHcloud"), ...links);
        const prometheus = ask(values);
        const annotations = this.dashboard.annotations.list.filter(({ name }) => !this.view.hidden.has(name));
        const marks: Mark[] = await readMarks(annotations, prometheus);
        await Promise.all(this.panels.map((panel) => panel.load(prometheus, marks)));
        connection("live", true);
        if (this.kiosk) byId("connection").textContent = rangeTitle({ from: iso(span.from), to: iso(span.to) }, now);
    }

    private fail(why: string): void {
        connection("no data", false);
        byId("message").textContent = why;
        for (const panel of this.panels) panel.fail("Prometheus could not be asked.");
    }
}

function connection(text: string, live: boolean): void {
    const badge = byId("connection");
    badge.textContent = text;
    badge.classList.toggle("live", live);
}

function iso(t: number): string {
    return new Date(t * 1000).toISOString();
}

/** The panels under the row that titles them. */
function rowsOf(panels: PanelJson[]): { title: string; panels: PanelJson[] }[] {
    const rows: { title: string; panels: PanelJson[] }[] = [];
    for (const panel of panels) {
        if (panel.type === "row") rows.push({ title: panel.title, panels: [] });
        else {
            if (rows.length === 0) rows.push({ title: "", panels: [] });
            rows.at(-1)!.panels.push(panel);
        }
    }
    return rows;
}

async function start(): Promise<void> {
    const answer = await fetch("/dashboards.json");
    const all = (await answer.json()) as Dashboard[];
    const uid = uidOf(location.pathname);
    const dashboard = all.find((one) => one.uid === uid);
    if (dashboard) return new DashboardPage(dashboard).look();
    connection("not found", false);
    byId("message").textContent = `There is no dashboard ${uid ?? ""}. There are:`;
    fill(byId("rows"), ...all.map((one) => element("p", {}, element("a", { href: `/d/${one.uid}` }, one.title))));
    document.body.dataset.state = "ready";
}

void start();
