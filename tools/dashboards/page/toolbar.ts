import type { View } from "./address";
import { byId, element, fill, type Child } from "./element";
import type { Dashboard } from "./grafana";
import { interpolate } from "./prometheus";
import { quickRanges, rangeTitle, spanOf } from "./time-range";
import { all, type Variable } from "./variables";

/** Seconds between two looks that can be chosen. */
const refreshes: Record<number, string> = {
    0: "off",
    5: "5 s",
    10: "10 s",
    15: "15 s",
    30: "30 s",
    60: "1 min",
    300: "5 min",
};

/** The choices at the top. What is chosen is written into `view` and `variables`; then `changed` is called. */
export class Toolbar {
    constructor(
        private readonly dashboard: Dashboard,
        private readonly view: View,
        private readonly variables: Variable[],
        private readonly changed: () => void,
    ) {
        byId("toolbar").addEventListener("submit", (event) => event.preventDefault());
        closeMenusOutside();
        this.showAnnotations();
        this.showTime();
    }

    /** Shows the options that the variables have now. */
    show(): void {
        const chosen = this.variables.filter(({ json }) => json.hide !== 2);
        const open = document.activeElement?.closest("#variables details");
        // Not under the hand of somebody who is choosing.
        if (open instanceof HTMLDetailsElement && open.open) return;
        const source = element("p", {}, element("span", { class: "dim" }, "Data source "), "Prometheus");
        byId("variables").replaceChildren(source, ...chosen.map((variable) => this.variable(variable)));
    }

    private variable(variable: Variable): HTMLElement {
        const { json, options, chosen } = variable;
        const everything = chosen.includes(all);
        const title = everything ? "All" : chosen.join(", ");
        // What was chosen and is gone can still be looked at, and be left.
        const values = [...new Set([...options, ...(everything ? [] : chosen)])];
        const summary = element("summary", {}, element("span", { class: "dim" }, `${json.label} `), title);
        const menu = element("details", { class: "menu", "data-variable": json.name }, summary);
        const boxes = values.map((value) => checkbox(value, !everything && chosen.includes(value)));
        const allBox = checkbox("All", everything);
        const sheet = element("div", { class: "sheet" }, allBox.label, ...boxes.map(({ label }) => label));
        menu.append(sheet);
        sheet.addEventListener("change", ({ target }) => {
            const ticked = boxes.filter(({ input }) => input.checked).map(({ input }) => input.value);
            const wantsAll = target === allBox.input || ticked.length === 0;
            variable.chosen = wantsAll ? [all] : ticked;
            allBox.input.checked = wantsAll;
            if (wantsAll) for (const { input } of boxes) input.checked = false;
            fill(summary, element("span", { class: "dim" }, `${json.label} `), wantsAll ? "All" : ticked.join(", "));
            this.changed();
        });
        if (values.length === 0) sheet.append(element("p", { class: "dim" }, "none in this time range"));
        return menu;
    }

    private showAnnotations(): void {
        const { hidden } = this.view;
        const boxes = this.dashboard.annotations.list.map(({ name, iconColor }) => {
            const { label, input } = checkbox(name, !hidden.has(name));
            label.classList.add("mark", iconColor);
            input.addEventListener("change", () => {
                if (input.checked) hidden.delete(name);
                else hidden.add(name);
                this.changed();
            });
            return label;
        });
        fill(byId("annotations"), ...boxes);
    }

    private showTime(): void {
        const { view } = this;
        const choose = (from: string, to: string): void => {
            view.range = { from, to };
            this.showTime();
            this.changed();
        };
        const quick = Object.entries(quickRanges).map(([from, title]) => {
            const button = element("button", { type: "button" }, title);
            button.addEventListener("click", () => choose(from, "now"));
            return button;
        });
        const span = spanOf(view.range, Date.now() / 1000)!;
        const [from, to] = (["From", "To"] as const).map((name) => {
            const t = name === "From" ? span.from : span.to;
            return element("input", {
                type: "datetime-local",
                step: "1",
                value: localTime(t),
                "aria-label": name,
            }) as HTMLInputElement;
        });
        const apply = element("button", { type: "button" }, "Show this range");
        apply.addEventListener("click", () => {
            const ends = [from, to].map(({ value }) => String(new Date(value).getTime()));
            const right = spanOf({ from: ends[0], to: ends[1] }, 0) !== undefined;
            to.setCustomValidity(right ? "" : "The end has to be after the beginning.");
            if (right) choose(ends[0], ends[1]);
            else to.reportValidity();
        });
        const title = rangeTitle(view.range, Date.now() / 1000);
        const out = element(
            "button",
            { type: "button", "aria-label": "Zoom out: twice the time", title: "Zoom out" },
            "−",
        );
        out.addEventListener("click", () => {
            const now = spanOf(view.range, Date.now() / 1000)!;
            const half = (now.to - now.from) / 2;
            // No line goes on into the future.
            const end = Math.min(now.to + half, Date.now() / 1000);
            choose(milliseconds(end - 4 * half), milliseconds(end));
        });
        byId("time").replaceChildren(
            element(
                "details",
                { class: "menu range" },
                element("summary", {}, element("span", { class: "dim" }, "Time "), title),
                element(
                    "div",
                    { class: "sheet" },
                    element("div", { class: "quick" }, ...quick),
                    element("label", {}, "From ", from),
                    element("label", {}, "To ", to),
                    apply,
                ),
            ),
            out,
            this.refresh(),
        );
    }

    /** Shows a range that was not chosen here. */
    showRange(): void {
        this.showTime();
    }

    private refresh(): HTMLElement {
        const known = { ...refreshes, [this.view.refresh]: refreshes[this.view.refresh] ?? `${this.view.refresh} s` };
        const options = Object.entries(known).map(([value, title]) => {
            return new Option(title, value, false, Number(value) === this.view.refresh);
        });
        const select = element("select", { "aria-label": "Refresh" }, ...options) as HTMLSelectElement;
        select.addEventListener("change", () => {
            this.view.refresh = Number(select.value);
            this.changed();
        });
        const now = element("button", { type: "button", "aria-label": "Refresh now", title: "Refresh now" }, "↻");
        now.addEventListener("click", () => this.changed());
        return element("span", { class: "refresh" }, element("label", {}, "Refresh ", select), now);
    }
}

function checkbox(value: string, checked: boolean): { label: HTMLElement; input: HTMLInputElement } {
    const input = element("input", { type: "checkbox", value }) as HTMLInputElement;
    input.checked = checked;
    return { label: element("label", {}, input, ` ${value}`), input };
}

/** Menus close as menus do: by a click elsewhere, and by Escape. */
function closeMenusOutside(): void {
    const close = (except?: Element | null): void => {
        for (const menu of document.querySelectorAll<HTMLDetailsElement>("details.menu[open]")) {
            if (menu !== except) menu.open = false;
        }
    };
    document.addEventListener("click", ({ target }) => close((target as Element).closest("details.menu")));
    document.addEventListener("keydown", ({ key }) => {
        if (key !== "Escape") return;
        const open = document.activeElement?.closest<HTMLDetailsElement>("details.menu[open]");
        close();
        open?.querySelector("summary")?.focus();
    });
}

/** As an input of type `datetime-local` has it. */
function localTime(t: number): string {
    const offset = new Date(t * 1000).getTimezoneOffset() * 60;
    return new Date((t - offset) * 1000).toISOString().slice(0, 19);
}

function milliseconds(t: number): string {
    return String(Math.round(t * 1000));
}

/**
 * Links to the other dashboards, which take the view along, and to what lies elsewhere.
 * @param values what stands for each variable; a link that needs one which is empty would lead nowhere, and is left out
 */
export function linkList(dashboard: Dashboard, values: Record<string, string>, parameters: URLSearchParams): Child[] {
    return dashboard.links
        .filter(({ url }) => [...url.matchAll(/\$\{(\w+)\}/g)].every(([, name]) => values[name]))
        .map(({ title, url, tooltip, targetBlank, includeVars, keepTime }) => {
            const taken = [...parameters].filter(([name]) => (name.startsWith("var-") ? includeVars : keepTime));
            const query = new URLSearchParams(taken).toString();
            const href = interpolate(url, values) + (query === "" ? "" : `?${query}`);
            const blank: Record<string, string> = targetBlank ? { target: "_blank", rel: "noreferrer" } : {};
            return element("a", { href, title: tooltip, ...blank }, title);
        });
}
