import { HttpError } from "../http-server";

/** An answer that is not a success, in OVHcloud's shape: `{class, message, details?}`. */
export class ApiError extends HttpError {
    constructor(
        status: number,
        readonly errorClass: string,
        message: string,
        headers: Record<string, string> = {},
        readonly details?: Record<string, string>,
    ) {
        super(status, message, headers);
    }
}

export const badRequest = (message: string): ApiError => new ApiError(400, "Client::BadRequest", message);
export const forbidden = (message: string): ApiError => new ApiError(403, "Client::Forbidden", message);
export const notFound = (message: string): ApiError => new ApiError(404, "Client::NotFound", message);
export const conflict = (message: string): ApiError => new ApiError(409, "Client::Conflict", message);
