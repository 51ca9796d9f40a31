import { HttpError } from "../http-server";

/** A refusal in vLLM's shape. */
export class Refusal extends HttpError {
    constructor(
        status: number,
        readonly type: string,
        message: string,
    ) {
        super(status, message);
    }

    get body(): object {
        return { error: { message: this.message, type: this.type, param: null, code: this.status } };
    }
}

/** Where vLLM's own code fails over a request that nobody foresaw: Starlette answers with two words and no JSON. */
export class Failure extends HttpError {
    constructor() {
        super(500, "Internal Server Error");
    }
}

/** A body that FastAPI itself cannot read. */
export class Unreadable extends HttpError {
    constructor() {
        super(400, "There was an error parsing the body");
    }

    get body(): object {
        return { detail: this.message };
    }
}

/** What a handler of vLLM refuses. */
export const bad = (message: string): Refusal => new Refusal(400, "BadRequestError", message);
/** What is refused before a handler sees it. */
export const malformed = (message: string): Refusal => new Refusal(400, "Bad Request", message);
/** What a handler did not foresee. */
export const unforeseen = (message: string): Refusal => new Refusal(500, "Internal Server Error", message);
