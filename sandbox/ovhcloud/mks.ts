/** Who really makes the clusters that the emulated API sells. */
export interface ManagedKubernetes {
    /** Resolves when the control plane answers. */
    create(id: string, spec: { name: string; version: string }): Promise<void>;
    /** The kubeconfig as YAML, certificates inline. */
    kubeconfig(id: string): Promise<string>;
    /** Makes every kubeconfig handed out so far worthless; resolves when the control plane answers again. */
    resetKubeconfig(id: string): Promise<void>;
    /** Makes a pool have this many nodes; 0 removes it. `zone`: where the region has several. */
    scale(id: string, pool: { id: string; name: string; flavor: string; zone?: string; nodes: number }): Promise<void>;
    /** Brings a cluster back after a restart of the sandbox. */
    resume(id: string): Promise<void>;
    delete(id: string): Promise<void>;
}
