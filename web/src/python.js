/**
 * The client for Python that runs in a Pyodide of the page's own and not in our worker: PyScript's, a notebook's, another worker's.
 *
 * ```js
 * import { install } from "/mls-federation/python.js";
 * await install(pyodide);
 * await pyodide.runPythonAsync("from mls_federation.browser import connect; …");
 * ```
 *
 * @import { Pyodide } from "./protocol.js"
 */
import * as network from "./network.js";
import { loadPrimitives } from "./primitives.js";
import { forPython as store } from "./store.js";

/**
 * Make `mls_federation` importable, on the provider `webjs`, or on `pyca` if `cryptography` was loaded before.
 *
 * @param {Pyodide} pyodide of the version that `assets.json` names
 * @returns {Promise<void>}
 * @throws {Error} the wheel cannot be loaded
 */
export async function install(pyodide) {
  const address = new URL("assets.json", import.meta.url);
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address} could not be loaded (HTTP ${response.status}).`);
  const wheel = /** @type {string[]} */ ((await response.json()).wheels).at(-1);
  // The modules that `mls_federation.browser` imports.
  pyodide.registerJsModule("mls_network", network);
  pyodide.registerJsModule("mls_store", store);
  pyodide.registerJsModule("mls_primitives", await loadPrimitives());
  /** @type {string[]} */
  const errors = [];
  await pyodide.loadPackage([new URL(/** @type {string} */ (wheel), import.meta.url).href], {
    errorCallback: (error) => void errors.push(error),
    messageCallback() {},
  });
  // `loadPackage` reports what it could not load, and returns.
  if (errors.length > 0) throw new Error(errors.join("; "));
}
