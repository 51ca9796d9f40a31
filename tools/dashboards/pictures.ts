import { chromium } from "playwright-core";
import { pathToFileURL } from "node:url";
import { join } from "node:path";
import { chromiumArgs, ensureChromium } from "../../machine/chromium";

/** Takes a picture of each dashboard of the page, `UID.png` in `folder`. Returns their paths. */
export async function takePictures(page: string, uids: string[], folder: string, log: (line: string) => void) {
    const browser = await chromium.launch({ executablePath: ensureChromium(log), args: chromiumArgs() });
    try {
        const tab = await browser.newPage({ viewport: { width: 1640, height: 1000 } });
        await tab.goto(pathToFileURL(page).href);
        const paths: string[] = [];
        for (const uid of uids) {
            const path = join(folder, `${uid}.png`);
            await tab.locator(`main#${uid}`).screenshot({ path });
            paths.push(path);
        }
        return paths;
    } finally {
        await browser.close();
    }
}
