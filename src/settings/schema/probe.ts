import { count, path } from "./values";

/** What both probes of a replica have. */
export const probe = {
    /**
     * Path that is asked for; any status from 200 to 399 is well.
     * @default `"/health"`, `"/v1/models"`
     * @example pulumi config set --path models.ministral.probes.readiness.path /health
     * @change rolls
     */
    path,
    /**
     * Port that is asked.
     * @default none: the model's port
     * @example pulumi config set --path models.ministral.probes.liveness.port 8001
     * @change rolls
     */
    port: count.min(1).max(65535).optional(),
    /**
     * From a replica's start to the first question. A liveness probe that asks while the model still loads ends the
     * replica, again and again.
     * @unit seconds
     * @default `300`
     * @example pulumi config set --path models.ministral.probes.liveness.initialDelaySeconds 600
     * @change rolls
     */
    initialDelaySeconds: count.min(0),
    /**
     * Between two questions.
     * @unit seconds
     * @default none: the platform's, 10
     * @example pulumi config set --path models.ministral.probes.liveness.periodSeconds 30
     * @change rolls
     */
    periodSeconds: count.min(1).optional(),
    /**
     * What an answer may take.
     * @unit seconds
     * @default none: the platform's, 1
     * @example pulumi config set --path models.ministral.probes.liveness.timeoutSeconds 5
     * @change rolls
     */
    timeoutSeconds: count.min(1).optional(),
    /**
     * Failures in a row that count.
     * @default none: the platform's, 3
     * @example pulumi config set --path models.ministral.probes.liveness.failureThreshold 6
     * @change rolls
     */
    failureThreshold: count.min(1).optional(),
};

/** The readiness probe alone may ask for several successes. */
export const readinessProbe = {
    ...probe,
    /**
     * Successes in a row that count.
     * @default none: the platform's, 1
     * @example pulumi config set --path models.ministral.probes.readiness.successThreshold 2
     * @change rolls
     */
    successThreshold: count.min(1).optional(),
};
