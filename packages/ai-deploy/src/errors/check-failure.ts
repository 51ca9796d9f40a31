import { configKey } from "./setting-names";

/** What is wrong with an input. */
export interface CheckFailure {
    /** Such as `resources.flavor`. */
    property: string;
    reason: string;
}

export type Fail = (property: string, reason: string) => void;

/** What `check` fails, in the order in which it does. */
export function collectFailures(check: (fail: Fail) => void): CheckFailure[] {
    const failures: CheckFailure[] = [];
    check((property, reason) => void failures.push({ property, reason }));
    return failures;
}

/** The project, which every resource needs. */
export function checkProject(serviceName: string | undefined, fail: Fail): void {
    if (serviceName) return;
    fail("serviceName", missingProject());
}

export function missingProject(): string {
    return `is not set: give the Public Cloud project id, here, as stack config ${configKey("serviceName")}, or as OVH_CLOUD_PROJECT_SERVICE`;
}
