/** What OVHcloud's API tells everybody. */
import { ApiError } from "../errors/request-errors";
import { messageOf } from "./authentication";
import { send } from "./transport";

/**
 * The text that a GET answers, one attempt, sent without credentials.
 * @param baseUrl with `/v1`, without a slash at the end
 * @throws NoAnswerError, TlsError, or ApiError for an answer that is none of 200 to 299
 */
export async function getPublic(baseUrl: string, path: string, timeoutMs: number): Promise<string> {
    const operation = `GET ${path.replace(/\?.*/, "")}`;
    const headers = { accept: "application/json" };
    const { status, text } = await send(operation, baseUrl + path, { method: "GET", headers, timeoutMs });
    if (status < 200 || status > 299) throw new ApiError(operation, status, messageOf(text), undefined);
    return text;
}
