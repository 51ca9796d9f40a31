import { drawPanel, escapeHtml } from "./draw";
import type { FilledDashboard, FilledPanel, Mark, Span } from "./query";

/** Width of a dashboard in pixels, and the space between panels. */
const width = 1560;
const gap = 12;
const padding = 12;

const style = `
body { font: 13px/1.4 system-ui, "DejaVu Sans", sans-serif; color: #1f2933; background: #f3f5f7; margin: 0; }
main { width: ${width}px; padding: 20px; background: #f3f5f7; }
h1 { font-size: 22px; margin: 0 0 2px; } h2 { font-size: 14px; margin: 18px 0 8px; color: #52606d; }
p { margin: 0; color: #616e7c; max-width: 110ch; }
.row { display: flex; gap: ${gap}px; }
.panel { background: #fff; border: 1px solid #e3e7eb; border-radius: 4px; padding: ${padding}px; box-sizing: border-box; min-width: 0; }
.panel.faulty { border: 2px solid #d62728; }
h3 { font-size: 13px; margin: 0 0 6px; } svg { display: block; } svg text { font-size: 11px; fill: #7b8794; }
.stat { font-size: 26px; font-weight: 600; margin: 2px 0 6px; white-space: nowrap; } .stat small { font-size: 15px; }
.legend { font-size: 11.5px; width: 100%; border-collapse: collapse; margin-top: 4px; }
.legend th { text-align: right; font-weight: normal; color: #9aa5b1; } .legend td + td { text-align: right; white-space: nowrap; padding-left: 10px; }
.legend i { display: inline-block; width: 12px; height: 3px; margin-right: 7px; vertical-align: middle; }
.lacks { color: #9aa5b1; } .fault { color: #d62728; overflow-wrap: anywhere; }
`;

/** One page with every dashboard, which needs nothing from anywhere. */
export function dashboardsPage(dashboards: FilledDashboard[], marks: Mark[], span: Span): string {
    const sections = dashboards.map(({ spec, rows }) => {
        const body = rows.map(
            ({ title, panels }) =>
                `<h2>${escapeHtml(title)}</h2><div class="row">${panels.map((panel) => card(panel, marks, span, panels.length)).join("")}</div>`,
        );
        const time = `${iso(span.from)} to ${iso(span.to)} UTC`;
        return (
            `<main id="${spec.uid}"><h1>${escapeHtml(spec.title)}</h1>` +
            `<p>${escapeHtml(spec.description)}</p><p>${time}</p>${body.join("")}</main>`
        );
    });
    return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Dashboards</title><style>${style}</style><body>${sections.join("")}</body></html>\n`;
}

function card(panel: FilledPanel, marks: Mark[], span: Span, inRow: number): string {
    const { spec, faults, lacks } = panel;
    const outer = Math.floor((width - gap * (inRow - 1)) / inRow);
    const content = lacks
        ? `<div class="lacks">needs ${escapeHtml(lacks)}, which this Prometheus does not have</div>`
        : drawPanel(panel, marks, span, outer - 2 * padding - 2) +
          faults.map((fault) => `<div class="fault">${escapeHtml(fault)}</div>`).join("");
    return (
        `<section class="panel${faults.length > 0 ? " faulty" : ""}" style="width:${outer}px" title="${escapeHtml(spec.description)}">` +
        `<h3>${escapeHtml(spec.title)}</h3>${content}</section>`
    );
}

function iso(t: number): string {
    return new Date(t * 1000).toISOString().slice(0, 19).replace("T", " ");
}
