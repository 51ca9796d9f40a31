import { element, fill } from "./element";
import type { Mark } from "./annotations";
import type { PanelJson, Target } from "./grafana";
import { drawStat } from "./stat";
import { legendOf, QueryError, type Prometheus } from "./prometheus";
import type { Span } from "./time-range";
import { Timeseries, type Zoom } from "./timeseries";

/** A series of a panel as it is drawn. */
export interface Line {
    label: string;
    /** The query that it comes from. */
    refId: string;
    /** One for each moment of the grid; of an instant query one alone. */
    values: (number | null)[];
}

/** What one look at Prometheus yields for a panel. */
export interface Look {
    span: Span;
    times: number[];
    lines: Line[];
    marks: Mark[];
}

/** Draws a kind of panel into its body, again at each look that has lines. */
type Draw = (look: Look) => void;

/** The kinds that this page draws. */
const kinds: Record<string, (panel: PanelJson, body: HTMLElement, zoom: Zoom) => Draw> = {
    stat: (panel, body) => (look) => drawStat(panel, body, look),
    timeseries: (panel, body, zoom) => {
        const plot = new Timeseries(panel, body, zoom);
        return (look) => plot.show(look);
    },
};

/** What became of one query. */
interface Answer {
    target: Target;
    lines: Line[];
    /** What Prometheus says against it. */
    error?: string;
}

/** A panel of the dashboard: its title, what it means, and what Prometheus has for it. */
export class Panel {
    readonly card: HTMLElement;
    private readonly body = element("div", { class: "body" });
    private readonly note = element("p", { class: "note", role: "status" });
    private readonly queries = element("ul", { class: "queries" });
    private readonly draw: Draw | undefined;

    constructor(
        private readonly json: PanelJson,
        zoom: Zoom,
    ) {
        const { id, type, title, description, gridPos } = json;
        this.card = element(
            "article",
            { class: `panel ${type}`, "data-panel": title, "aria-labelledby": `panel-${id}` },
            element(
                "header",
                {},
                element("h3", { id: `panel-${id}` }, title),
                element(
                    "details",
                    { class: "menu about" },
                    element("summary", { "aria-label": `About ${title}` }, "i"),
                    element("div", { class: "sheet" }, element("p", {}, description ?? ""), this.queries),
                ),
            ),
            this.body,
            this.note,
        );
        this.card.style.setProperty("--x", String(gridPos.x + 1));
        this.card.style.setProperty("--w", String(gridPos.w));
        this.card.style.setProperty("--h", String(gridPos.h));
        this.draw = kinds[type]?.(json, this.body, zoom);
        if (!this.draw) this.say("failed", `A panel of the kind "${type}" is not drawn here.`);
    }

    /** Asks Prometheus and draws what it says; what was drawn before goes. Rejects only when the look is given up. */
    async load(prometheus: Prometheus, marks: Mark[]): Promise<void> {
        const { draw } = this;
        if (!draw) return;
        const answers = await Promise.all((this.json.targets ?? []).map((target) => ask(prometheus, target)));
        fill(this.queries, ...answers.map((answer) => queryLine(answer, prometheus)));
        const errors = [...new Set(answers.flatMap(({ error }) => error ?? []))];
        const lines = answers.flatMap((answer) => answer.lines);
        // Never old figures: a panel without new ones shows none.
        this.body.hidden = lines.length === 0;
        if (errors.length > 0) this.say("failed", errors.join("; "));
        else if (lines.length === 0) this.say("empty", this.json.fieldConfig?.defaults.noValue ?? "No data");
        else this.say("drawn", "");
        if (lines.length > 0) draw({ span: prometheus.span, times: prometheus.times, lines, marks });
    }

    /** Says why there is nothing to see at all. */
    fail(why: string): void {
        this.body.hidden = true;
        this.say("failed", why);
    }

    private say(state: "drawn" | "empty" | "failed", text: string): void {
        this.card.dataset.state = state;
        this.note.textContent = text;
        this.note.hidden = text === "";
    }
}

async function ask(prometheus: Prometheus, target: Target): Promise<Answer> {
    try {
        const found = await (target.instant ? prometheus.instant(target.expr) : prometheus.range(target.expr));
        const lines = found
            .map(({ labels, values }) => {
                return { label: legendOf(target.legendFormat, labels), refId: target.refId, values };
            })
            .filter(({ values }) => values.some((value) => value !== null))
            .sort((a, b) => a.label.localeCompare(b.label, "en", { numeric: true }));
        return { target, lines };
    } catch (error) {
        if (!(error instanceof QueryError)) throw error;
        return { target, lines: [], error: error.message };
    }
}

/** A query as it was asked, to be pasted into Prometheus, and what came of it. `npm run dashboards` reads its `data-fault`. */
function queryLine({ target, lines, error }: Answer, prometheus: Prometheus): HTMLElement {
    const fault = error ?? (lines.length === 0 ? "no data" : undefined);
    const result = fault ?? `${lines.length} series`;
    return element(
        "li",
        fault === undefined ? {} : { "data-fault": `${fault} for ${target.expr}` },
        element("code", {}, prometheus.interpolate(target.expr)),
        element("span", { class: error === undefined ? "dim" : "bad" }, result),
    );
}
