import { removeCommand, setCommand } from "../commands";
import { isMap } from "../defaults";
import { alertingSchema, receiverSchema } from "../schema";
import type { CrossFault } from "./config";

/** Faults between receivers and routes. */
export function alertingFaults(config: unknown): CrossFault[] {
    const faults: CrossFault[] = [];
    const raw = (config ?? {}) as Record<string, unknown>;
    const routes: Record<string, string[]> = alertingSchema.shape.routes.safeParse(raw.routes).data ?? {};
    const names = isMap(raw.receivers) ? Object.keys(raw.receivers) : [];
    for (const [tier, receivers] of Object.entries(routes)) {
        for (const [index, name] of receivers.entries()) {
            if (names.includes(name)) continue;
            const path = ["alerting", "routes", tier, index];
            const fix =
                names.length > 0
                    ? `name one of alerting.receivers, which are ${names.join(", ")}: ${setCommand(path, names[0])}`
                    : `define it in alerting.receivers, or take it away: ${removeCommand(path)}`;
            faults.push({ path, fix });
        }
    }
    for (const name of names) {
        const receiver = receiverSchema.safeParse((raw.receivers as Record<string, unknown>)[name]).data;
        if (receiver?.type === "email" && (receiver.username === undefined) !== (receiver.password === undefined)) {
            const missing = receiver.username === undefined ? "username" : "password";
            const at = ["alerting", "receivers", name];
            const given = receiver.username === undefined ? "password" : "username";
            const fix =
                "give both username and password, or neither where the mail server asks for no login: " +
                removeCommand([...at, given]);
            faults.push({ path: [...at, missing], fix });
        }
        if (!receiver || Object.values(routes).some((receivers) => receivers.includes(name))) continue;
        const page = ["alerting", "routes", "page", routes.page?.length ?? 0];
        const fix = `name it in a route (page, ticket, info or heartbeat), else it is told of nothing: ${setCommand(page, name)}`;
        faults.push({ path: ["alerting", "receivers", name], found: "in no route", fix });
    }
    return faults;
}
