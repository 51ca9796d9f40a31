import { byId, element, fill } from "./element";

/** Shows what lies under the pointer: the moment, what is marked there, and the value of each line. */
export function showTooltip(
    at: { x: number; y: number },
    t: number,
    rows: { label: string; text: string; color: string }[],
    marks: { title: string; color: string }[],
): void {
    const tip = byId("tooltip");
    fill(
        tip,
        element("time", {}, new Date(t * 1000).toLocaleString("en-GB")),
        ...marks.map(({ title, color }) => element("p", { class: `mark ${color}` }, title)),
        element(
            "table",
            {},
            ...rows.map(({ label, text }) => element("tr", {}, element("th", {}, label), element("td", {}, text))),
        ),
    );
    // Through the object model, which the page's security policy allows; an attribute of style it does not.
    const heads = tip.querySelectorAll("th");
    rows.forEach(({ color }, index) => heads[index].style.setProperty("border-left-color", color));
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    const left = at.x + 16 + width > window.innerWidth ? at.x - 16 - width : at.x + 16;
    const top = Math.min(at.y + 8, window.innerHeight - height - 8);
    tip.style.setProperty("left", `${Math.max(4, left)}px`);
    tip.style.setProperty("top", `${Math.max(4, top)}px`);
}

export function hideTooltip(): void {
    byId("tooltip").hidden = true;
}
