import * as pulumi from "@pulumi/pulumi";

/**
 * The namespace of the monitoring, unless the stack has it in another one: to Kubernetes that is another namespace and
 * not another name of the same, so that the engine would make everything anew in it and delete the volumes with the old.
 */
export function keptNamespace(wanted: string): pulumi.Output<string> {
    const name = `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;
    // What StackReference asks as well; of the stack itself, the outputs are those of the update before.
    const before = pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", { name }) as Promise<{
        outputs?: Record<string, unknown>;
    }>;
    const kept = async (): Promise<string> => {
        const { outputs } = await before;
        const fault = namespaceFault(wanted, outputs?.grafanaPortForward);
        if (fault !== undefined) throw new pulumi.RunError(fault);
        return wanted;
    };
    return pulumi.output(kept());
}

/**
 * Why the monitoring cannot be in this namespace; undefined when it can.
 * @param portForward output of the stack that names the namespace, where it has been up
 */
export function namespaceFault(wanted: string, portForward: unknown): string | undefined {
    const found = / --namespace (\S+) /.exec(String(portForward))?.[1];
    if (found === undefined || found === wanted) return undefined;
    return (
        `monitoring.namespace: "${wanted}"; the stack's monitoring is in the namespace "${found}", and with another one all of ` +
        "it would be made anew: metrics, Grafana's database and silences would be lost. Keep it: pulumi config set --path " +
        `monitoring.namespace ${found}. To move it all the same, pulumi destroy comes first`
    );
}
