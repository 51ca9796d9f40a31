/** A child of an element; nothing is made of undefined and false. */
export type Child = Node | string | undefined | false;

/** Makes an element. Texts become text nodes, so nothing that comes from an app is ever read as HTML. */
export function element(tag: string, attributes: Record<string, string> = {}, ...children: Child[]): HTMLElement {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children.filter((child) => child !== undefined && child !== false));
    return made;
}

/** The element of the page with this id, which is there. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
    const found = document.getElementById(id);
    if (!found) throw new Error(`the page has no #${id}`);
    return found as T;
}

/** Replaces what an element holds, unless it holds the same already: a reader's selection and place stay. */
export function fill(target: HTMLElement, ...children: Child[]): void {
    const fresh = element("div", {}, ...children);
    if (fresh.innerHTML !== target.innerHTML) target.replaceChildren(...fresh.childNodes);
}

/** A duration as people say it: "0.42 s", "12 s", "3 min 20 s". */
export function seconds(value: number): string {
    if (value < 10) return `${Number(value.toPrecision(2))} s`;
    if (value < 60) return `${Math.round(value)} s`;
    return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
}

/** Time of day of an ISO text. */
export function clock(iso: string): string {
    return new Date(iso).toLocaleTimeString("en-GB");
}

/** At most three figures. */
export function figure(value: number): string {
    return Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
}
