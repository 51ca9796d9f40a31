/** What an error says; of a Kubernetes client's, which quotes the whole answer, the answer's message. */
export function wordsOf({ message, ...more }: Error & { code?: number; body?: string }): string {
    if (!message.startsWith("HTTP-Code: ")) return message;
    const said = /"message\\?":\s*\\?"(.*?)\\?"[,}]/.exec(String(more.body ?? message))?.[1];
    return `the cluster's API server answers ${more.code}: ${said ?? "nothing more"}`;
}
