/**
 * The Pyodide distribution that the client runs on: the one that is served with it, or one that the page names.
 *
 * @import { Fault } from "./protocol.js"
 *
 * @typedef {{ version: string, directory: string, packages?: string[], lock: object }} Served what `assets.json` says of the one that is
 *   served; `packages` are those of which it has the wheels
 * @typedef {{ packages: Record<string, { file_name: string }> }} Lock `pyodide-lock.json`
 */

// Of before start-up counts what is fetched: that a wheel is not there is no failure of start-up.
const plainFetch = globalThis.fetch.bind(globalThis);

/** The distribution is not one that this client runs on. */
export class DistributionError extends Error {
  /** @param {Fault} fault */
  constructor(fault) {
    super(fault.message);
    this.fault = fault;
  }
}

/**
 * @param {string} base address of the folder with `assets.json`
 * @param {Served} served
 * @param {string | undefined} named by the page
 * @returns {string} address of the folder that holds the distribution
 */
export function distributionAddress(base, served, named) {
  return named ?? new URL(served.directory, base).href;
}

/**
 * @param {string} address of the distribution
 * @param {string} found its version
 * @param {string} needed
 */
export function requireVersion(address, found, needed) {
  if (found === needed) return;
  throw new DistributionError({
    code: "wrong-pyodide-version",
    message: `${address} is Pyodide ${found}; this client runs on Pyodide ${needed}. Name the folder of that version.`,
    details: { address, found, needed },
  });
}

/**
 * Whether the wheel of `cryptography` can be loaded. The lock file of every distribution names it; that of npm serves no wheels.
 *
 * @param {string} address of the distribution
 * @param {Served | undefined} served what is known of it beforehand
 * @returns {Promise<boolean>}
 */
export async function hasCryptography(address, served) {
  if (served !== undefined) return served.packages?.includes("cryptography") ?? false;
  const lock = /** @type {Lock} */ (await (await fetch(new URL("pyodide-lock.json", address))).json());
  const wheel = lock.packages["cryptography"]?.file_name;
  return wheel !== undefined && (await isServed(new URL(wheel, address)));
}

/**
 * @param {URL} address
 * @returns {Promise<boolean>}
 */
async function isServed(address) {
  try {
    return (await plainFetch(address, { method: "HEAD" })).ok;
  } catch {
    // What another origin does not have it may refuse to say.
    return false;
  }
}
