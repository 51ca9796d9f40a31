import { z } from "zod";
import { cidr, count, ownName, pem } from "./values";

/**
 * One address for the model's clients that stays and that waits: an Envoy in the cluster holds their requests while the
 * model sleeps, boots or is replaced (docs/front-door.md). The app's own address stays beside it.
 * @example
 * pulumi config set --path 'models.ministral.frontDoor.clients[0]' search
 * pulumi config set --path models.ministral.frontDoor.requestsPerMinute.search 600
 * pulumi config set --secret --path clientKeys.search made-up-key-of-search
 * pulumi config set --path models.ministral.frontDoor.access loadBalancer
 * pulumi config set --path 'models.ministral.frontDoor.allowedSources[0]' 198.51.100.0/24
 * pulumi config set --path models.ministral.frontDoor.keepAddress true
 * pulumi config set --path models.ministral.frontDoor.holdSeconds 600
 * pulumi config set --path models.ministral.frontDoor.maxWaiting 200
 */
export const frontDoor = z.strictObject({
    /**
     * Names of the consumers that may ask, each with its key in `clientKeys`.
     * @default none: has to be set
     * @change live
     */
    clients: z.array(ownName("consumer")).min(1, "name who may ask; without any the door lets nobody in"),
    /**
     * Requests a minute of some of them, by name; what exceeds them gets 429. A minute's worth may come at once.
     * @default none: as many as they send
     * @change live
     */
    requestsPerMinute: z.record(ownName("consumer"), count.min(1).max(100_000)).default({}),
    /**
     * For how long a request waits for a replica, about; then it gets 503 with `Retry-After`. A boot takes minutes.
     * @unit seconds
     * @default none: 900
     * @change live for new requests; the door's pod is replaced, and what the old one has is cut after a minute
     */
    holdSeconds: count.min(1).max(3600).default(900),
    /**
     * How many requests may wait at a time; others get 503 with `Retry-After` at once.
     * @default none: 100
     * @change live; the door's pod is replaced, and what the old one has is cut after a minute
     * @cost 5 MiB of the cluster's memory each at most
     */
    maxWaiting: count.min(1).max(1000).default(100),
    /**
     * `internal`: the cluster's pods alone reach it. `loadBalancer`: a public address, port 443 with `certificate`,
     * else port 80 without TLS.
     * @default none: internal
     * @change live; the address of before leads nowhere any more
     * @cost loadBalancer: one of size S with its address, and a gateway where the stack has none yet, per hour
     */
    access: z.enum(["internal", "loadBalancer"]).default("internal"),
    /**
     * Gives the load balancer an address that is the stack's own, a floating IP: it outlives the load balancer and the
     * cluster, and stays as long as the region does (docs/private-network.md). Needs an OpenStack user.
     * @default none: false
     * @change live; another load balancer comes first, then the one of before goes, with its address
     * @cost none while the load balancer stands, which has a floating IP in any case
     */
    keepAddress: z.boolean().default(false),
    /**
     * Address ranges that may reach it. Have to be set unless `access` is `internal`; `0.0.0.0/0` opens it to all who
     * have a key.
     * @default none
     * @change live
     */
    allowedSources: z.array(cidr()).default([]),
    /**
     * Certificate chain with which it serves TLS, PEM; its key is `frontDoorTlsKey`.
     * @default none: no TLS
     * @change live for another one of before; with the first or without one the door's pod is replaced
     */
    certificate: pem("CERTIFICATE").optional(),
});

export type FrontDoorSettings = z.output<typeof frontDoor>;
