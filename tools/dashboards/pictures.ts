import { chromium, type Page } from "playwright-core";
import { join } from "node:path";
import { chromiumArgs, ensureChromium } from "../../machine/chromium";
import { answerDashboards } from "./server";

export interface PictureOptions {
    /** Of the dashboards, in the order of the pictures. */
    uids: string[];
    /** Base URL of Prometheus. */
    prometheus: string;
    /** Seconds up to now. */
    range: number;
    /** Gets `UID.png` of each. */
    out: string;
    log: (line: string) => void;
}

/** What was seen on the page of a dashboard. */
export interface Picture {
    uid: string;
    path: string;
    panels: { title: string; faults: string[] }[];
}

/** Nothing listens there: the browser is given everything by this process. */
const origin = "http://dashboards.invalid";

/** Opens each dashboard in a browser and takes a picture of it once everything is drawn. */
export async function takePictures({ uids, prometheus, range, out, log }: PictureOptions): Promise<Picture[]> {
    const browser = await chromium.launch({ executablePath: ensureChromium(log), args: chromiumArgs() });
    try {
        const tab = await browser.newPage({ viewport: { width: 1640, height: 1000 } });
        await tab.route("**/*", async (route) => {
            const answer = await answerDashboards(new URL(route.request().url()), prometheus);
            await (answer ? route.fulfill(answer) : route.abort());
        });
        const pictures: Picture[] = [];
        for (const uid of uids) {
            await tab.goto(`${origin}/d/${uid}?kiosk&refresh=&from=now-${range}s&to=now`);
            await tab.locator("body[data-state=ready]").waitFor();
            const path = join(out, `${uid}.png`);
            await tab.screenshot({ path, fullPage: true });
            pictures.push({ uid, path, panels: await panelsOf(tab) });
        }
        return pictures;
    } finally {
        await browser.close();
    }
}

async function panelsOf(tab: Page): Promise<Picture["panels"]> {
    const message = await tab.locator("#message").textContent();
    if (message) throw new Error(message);
    const cards = await tab.locator(".panel").all();
    return Promise.all(
        cards.map(async (card) => ({
            title: (await card.getAttribute("data-panel"))!,
            faults: await card
                .locator("[data-fault]")
                .evaluateAll((lines) => lines.map((line) => line.getAttribute("data-fault")!)),
        })),
    );
}
