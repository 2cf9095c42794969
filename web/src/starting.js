/** Starts workers, from wherever their scripts are served. */
import { policyFault, violationOf } from "./policy.js";

/**
 * @param {string} base address of the folder that holds the worker
 * @param {string} [file]
 * @returns {string}
 */
const workerAddress = (base, file = "worker.js") => new URL(file, base).href;

/**
 * @param {string} base address of the folder that holds the worker
 * @param {string} [file] its script, by default the worker with the client
 * @returns {Worker}
 */
export function startWorker(base, file) {
  const options = /** @type {const} */ ({ type: "module", name: file === undefined ? "mls-federation" : `mls-federation ${file}` });
  const address = workerAddress(base, file);
  if (new URL(address).origin === globalThis.origin) return new Worker(address, options);
  // A browser runs no worker whose own script is of another origin, but its script may import one that is.
  const script = new Blob([`import ${JSON.stringify(address)};`], { type: "text/javascript" });
  const scriptAddress = URL.createObjectURL(script);
  const worker = new Worker(scriptAddress, options);
  // The script is fetched some time after this returns; its address must last until it has run, and that is when it says something.
  const revoke = () => URL.revokeObjectURL(scriptAddress);
  worker.addEventListener("message", revoke, { once: true });
  worker.addEventListener("error", revoke, { once: true });
  return worker;
}

/**
 * Why a worker did not start that said nothing about it.
 *
 * @param {string} base as for `startWorker`
 * @param {string} [script] as `file` for `startWorker`
 * @returns {Promise<import("./protocol.js").Fault>}
 */
export async function startFault(base, script) {
  const file = workerAddress(base, script);
  const elsewhere = new URL(file).origin !== globalThis.origin;
  const violation = (await violationOf(file)) ?? (elsewhere ? await violationOf("blob:") : undefined);
  if (violation !== undefined) return policyFault(violation);
  const reason = elsewhere
    ? `it is not served, ${new URL(file).origin} does not allow ${globalThis.origin} to use it (CORS), or the page's policy does not (worker-src)`
    : "it or what it imports is not served, or not as a JavaScript module";
  return {
    code: "load-failed",
    message: `${file} could not be loaded: ${reason}. See docs/embedding.md.`,
    details: { file, reason },
  };
}
