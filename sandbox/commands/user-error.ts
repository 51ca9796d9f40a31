/** A fault of the user's making or surroundings: shown as one line. */
export class UserError extends Error {}
