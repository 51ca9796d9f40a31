import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { appBody, startTestCloud } from "./cloud";

/** At once on a machine that has nothing else to do. */
const eventually = { timeout: 30_000 };

it("a synchronization that a restart of the sandbox interrupted comes to its end", async () => {
    const stateDir = mkdtempSync(join(tmpdir(), "data-sync-"));
    const before = await startTestCloud({ stateDir, speed: 1 });
    const { id } = await before.api("POST", "/ai/app", appBody());
    const path = `/ai/app/${id}`;
    const sync = await before.api("POST", `${path}/datasync`, { direction: "pull" });
    expect(sync.status.state).toBe("QUEUED");
    await before.close();

    const after = await startTestCloud({ stateDir });
    await vi.waitFor(async () => {
        const { status } = await after.api("GET", path);
        expect(status.dataSync).toMatchObject([{ id: sync.id, status: { state: "FAILED" } }]);
    }, eventually);
    await after.close();
    rmSync(stateDir, { recursive: true, force: true });
});
