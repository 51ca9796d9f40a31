/** Where code is reviewed: keeps one comment on a pull request, and one issue for each stack that has drifted. */
export interface Forge {
    /** Makes the comment that begins with `marker`, or replaces the one that this account made before. */
    keepComment(pullRequest: number, marker: string, body: string): Promise<"made" | "replaced">;
    /** Opens the issue of this title, or replaces the body of the open one that this account made. */
    keepIssue(title: string, body: string): Promise<"opened" | "replaced">;
    /** Closes the open issue of this title, if this account made one. */
    closeIssue(title: string, comment: string): Promise<"closed" | "none">;
}

/** What a deployment at GitHub asks as well. */
export interface GitHub extends Forge {
    /** The commit of the last run of this workflow on this branch that has succeeded; undefined where there is none. */
    lastSuccess(): Promise<string | undefined>;
}

/** What the service answered instead of success. The message is for people, and holds no token. */
export class ForgeError extends Error {}

/** Milliseconds that an answer may take. */
const timeoutMs = 30_000;
const pageSize = 100;
/** Of comments and issues that are looked through. */
const mostPages = 50;

interface Request {
    method: "GET" | "POST" | "PATCH" | "PUT";
    path: string;
    body?: object;
}

/** Calls of one service. */
class Api {
    constructor(
        private readonly base: string,
        private readonly headers: Record<string, string>,
        /** What a refusal usually means, for the error. */
        private readonly hint: string,
    ) {}

    async call<T>({ method, path, body }: Request): Promise<T> {
        let answer: Response;
        try {
            answer = await fetch(this.base + path, {
                method,
                headers: { ...this.headers, ...(body && { "content-type": "application/json" }) },
                body: body && JSON.stringify(body),
                signal: AbortSignal.timeout(timeoutMs),
                redirect: "error",
            });
        } catch (error) {
            const { cause, message } = error as Error & { cause?: { code?: string } };
            throw new ForgeError(`${method} ${path}: no answer from ${this.base} (${cause?.code ?? message})`);
        }
        const text = await answer.text();
        if (answer.ok) return (text === "" ? undefined : JSON.parse(text)) as T;
        const hint = answer.status === 401 || answer.status === 403 || answer.status === 404 ? `; ${this.hint}` : "";
        throw new ForgeError(`${method} ${path}: ${answer.status} ${text.slice(0, 300)}${hint}`);
    }

    /** The first entry of a list in pages that fits. */
    async find<T>(path: string, fits: (entry: T) => boolean): Promise<T | undefined> {
        const join = path.includes("?") ? "&" : "?";
        for (let page = 1; page <= mostPages; page++) {
            const entries = await this.call<T[]>({
                method: "GET",
                path: `${path}${join}per_page=${pageSize}&page=${page}`,
            });
            const found = entries.find(fits);
            if (found || entries.length < pageSize) return found;
        }
        return undefined;
    }
}

/**
 * GitHub, with the token of a workflow.
 * @param repository `owner/name`
 * @param workflow which one runs, as `GITHUB_WORKFLOW_REF` says: `owner/name/.github/workflows/deploy.yml@refs/heads/main`
 */
export function gitHub(api: string, repository: string, token: string, workflow?: string): GitHub {
    const login = "github-actions[bot]";
    const headers = {
        accept: "application/vnd.github+json",
        authorization: `Bearer ${token}`,
        "x-github-api-version": "2022-11-28",
    };
    const hint = "the job needs `permissions: pull-requests: write`, `issues: write` or `actions: read`";
    const calls = new Api(api, headers, hint);
    const root = `/repos/${repository}/issues`;
    interface Entry {
        id: number;
        number: number;
        title?: string;
        body?: string | null;
        user: { login: string } | null;
        pull_request?: object;
    }
    const openIssue = (title: string) =>
        calls.find<Entry>(
            `${root}?state=open`,
            (issue) => issue.title === title && issue.user?.login === login && !issue.pull_request,
        );
    return {
        async lastSuccess() {
            const [, file, branch] = /\/([^/@]+)@refs\/heads\/(.+)$/.exec(workflow ?? "") ?? [];
            if (file === undefined) {
                throw new ForgeError(
                    `GITHUB_WORKFLOW_REF is ${workflow ?? "not set"}, and names no workflow of a branch`,
                );
            }
            const query = new URLSearchParams({ branch, event: "push", status: "success", per_page: "1" });
            const { workflow_runs: runs } = await calls.call<{ workflow_runs: { head_sha: string }[] }>({
                method: "GET",
                path: `/repos/${repository}/actions/workflows/${file}/runs?${query.toString()}`,
            });
            return runs.at(0)?.head_sha;
        },
        async keepComment(pullRequest, marker, body) {
            // Its own, not one of somebody who begins it alike.
            const own = ({ user, body: text }: Entry): boolean =>
                user?.login === login && (text ?? "").startsWith(marker);
            const earlier = await calls.find<Entry>(`${root}/${pullRequest}/comments`, own);
            if (earlier) await calls.call({ method: "PATCH", path: `${root}/comments/${earlier.id}`, body: { body } });
            else await calls.call({ method: "POST", path: `${root}/${pullRequest}/comments`, body: { body } });
            return earlier ? "replaced" : "made";
        },
        async keepIssue(title, body) {
            const open = await openIssue(title);
            if (open) await calls.call({ method: "PATCH", path: `${root}/${open.number}`, body: { body } });
            else await calls.call({ method: "POST", path: root, body: { title, body } });
            return open ? "replaced" : "opened";
        },
        async closeIssue(title, comment) {
            const open = await openIssue(title);
            if (!open) return "none";
            await calls.call({ method: "POST", path: `${root}/${open.number}/comments`, body: { body: comment } });
            await calls.call({ method: "PATCH", path: `${root}/${open.number}`, body: { state: "closed" } });
            return "closed";
        },
    };
}

/**
 * GitLab, with a project access token of scope `api`; the token of a job may write neither notes nor issues.
 * @param project id of the project, `CI_PROJECT_ID`
 */
export function gitLab(api: string, project: string, token: string): Forge {
    const calls = new Api(api, { "private-token": token }, "the token needs the scope `api` and the role Reporter");
    const root = `/projects/${encodeURIComponent(project)}`;
    interface Entry {
        id: number;
        iid: number;
        title?: string;
        body?: string;
        author: { id: number };
    }
    let me: Promise<number> | undefined;
    const own = async (): Promise<number> =>
        (me ??= calls.call<{ id: number }>({ method: "GET", path: "/user" }).then(({ id }) => id));
    const openIssue = async (title: string) => {
        const id = await own();
        return calls.find<Entry>(
            `${root}/issues?state=opened`,
            (issue) => issue.title === title && issue.author.id === id,
        );
    };
    return {
        async keepComment(pullRequest, marker, body) {
            const notes = `${root}/merge_requests/${pullRequest}/notes`;
            const id = await own();
            const earlier = await calls.find<Entry>(
                notes,
                ({ author, body: text }) => author.id === id && (text ?? "").startsWith(marker),
            );
            if (earlier) await calls.call({ method: "PUT", path: `${notes}/${earlier.id}`, body: { body } });
            else await calls.call({ method: "POST", path: notes, body: { body } });
            return earlier ? "replaced" : "made";
        },
        async keepIssue(title, body) {
            const open = await openIssue(title);
            const description = body;
            if (open) await calls.call({ method: "PUT", path: `${root}/issues/${open.iid}`, body: { description } });
            else await calls.call({ method: "POST", path: `${root}/issues`, body: { title, description } });
            return open ? "replaced" : "opened";
        },
        async closeIssue(title, comment) {
            const open = await openIssue(title);
            if (!open) return "none";
            await calls.call({ method: "POST", path: `${root}/issues/${open.iid}/notes`, body: { body: comment } });
            await calls.call({ method: "PUT", path: `${root}/issues/${open.iid}`, body: { state_event: "close" } });
            return "closed";
        },
    };
}

/** GitHub, for a job that it runs. Throws a ForgeError that says which variable is not set. */
export function gitHubOfJob(env: Record<string, string | undefined>): GitHub {
    const { GITHUB_API_URL = "https://api.github.com", GITHUB_REPOSITORY, GITHUB_TOKEN, GITHUB_WORKFLOW_REF } = env;
    if (!env.GITHUB_ACTIONS || !GITHUB_REPOSITORY) throw new ForgeError("this is no job of GitHub Actions");
    if (!GITHUB_TOKEN) {
        throw new ForgeError("GITHUB_TOKEN is not set: give the step `env: { GITHUB_TOKEN: ${{ github.token }} }`");
    }
    return gitHub(GITHUB_API_URL, GITHUB_REPOSITORY, GITHUB_TOKEN, GITHUB_WORKFLOW_REF);
}

/** The service that runs this job. Throws a ForgeError that says which variables it lacks. */
export function forgeOfJob(env: Record<string, string | undefined>): Forge {
    if (env.GITHUB_ACTIONS) return gitHubOfJob(env);
    if (env.GITLAB_CI) {
        const { CI_API_V4_URL, CI_PROJECT_ID, PIPELINE_TOKEN } = env;
        if (!CI_API_V4_URL || !CI_PROJECT_ID || !PIPELINE_TOKEN) {
            throw new ForgeError(
                "PIPELINE_TOKEN is not set: make a project access token of scope api a masked variable",
            );
        }
        return gitLab(CI_API_V4_URL, CI_PROJECT_ID, PIPELINE_TOKEN);
    }
    throw new ForgeError("this is no job of GitHub Actions or GitLab CI: leave the option out, and it is printed only");
}
