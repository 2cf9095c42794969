/**
 * The one kind of error that the module raises.
 *
 * @import { Fault } from "./protocol.js"
 */

/** Anything that went wrong. `code` is for programs and stays the same, `message` is for people. */
export class MLSError extends Error {
  /**
   * @param {string} code stable, kebab-case; docs/web-api.md lists them
   * @param {string} message in words that a person can act on
   * @param {Record<string, unknown>} [details] what else is known, by code
   */
  constructor(code, message, details = {}) {
    super(message);
    this.name = "MLSError";
    /** What went wrong: stable, kebab-case. */
    this.code = code;
    /** What else is known about it; which members there are, the code tells. */
    this.details = details;
  }
}

/**
 * What the worker tells, as an error.
 *
 * @param {Fault} fault
 */
export const toError = ({ code, message, details }) => new MLSError(code, message, details);
