/**
 * The worker: Pyodide with the client in it. `index.js` starts it, as a module worker.
 *
 * @import { EventMessage, Fault, LoadOptions, Progress, Reply, WorkerInterface } from "./protocol.js"
 */
import { LoadError, Progression } from "./loading.js";
import * as network from "./network.js";
import { expose } from "./vendor/comlink.js";

/**
 * @typedef {{
 *   version: string,
 *   pyodide: { version: string, directory: string, packages?: string[] },
 *   wheels: string[],
 *   bytes: Record<string, number>,
 * }} Assets `assets.json`: what start-up loads, with addresses relative to that file
 *
 * @typedef {{
 *   start(crypto: string, emit: (event: EventMessage) => void): Reply,
 *   call(method: string, params: unknown, signal: AbortSignal): Promise<Reply>,
 * }} Bridge `mls_federation.browser.bridge`
 */

/** @type {any} */
let pyodide;
/** @type {Bridge | undefined} */
let bridge;
/** @type {Map<number, AbortController>} what ends a call's requests to delivery services, by the call */
const controllers = new Map();

/** @type {WorkerInterface} */
const worker = {
  async load(options, onprogress, onevent) {
    try {
      return await load(options, onprogress, onevent);
    } catch (error) {
      console.warn("mls-federation could not start:", error);
      return { ok: false, fault: loadFault(error) };
    }
  },

  async call(id, method, params) {
    if (bridge === undefined) return { ok: false, fault: notLoaded };
    const controller = new AbortController();
    controllers.set(id, controller);
    try {
      return await bridge.call(method, pyodide.toPy(params), controller.signal);
    } catch (error) {
      // What the client raises comes back as a reply: this is the interpreter's own end, and the page must hear of it.
      reportError(error);
      throw error;
    } finally {
      controllers.delete(id);
    }
  },

  cancel(id) {
    controllers.get(id)?.abort();
  },
};

/** @type {Fault} */
const notLoaded = { code: "not-loaded", message: "Wait until MLSFederation.load() has finished.", details: {} };

/**
 * @param {LoadOptions} options
 * @param {(progress: Progress) => void} onprogress
 * @param {(event: EventMessage) => void} onevent
 * @returns {Promise<Reply>}
 */
async function load(options, onprogress, onevent) {
  const progression = new Progression(options.base, onprogress);
  try {
    // Pyodide waits for ever for WebAssembly that it cannot fetch.
    return await Promise.race([start(options, progression, onevent), progression.failed]);
  } finally {
    progression.end();
  }
}

/**
 * @param {LoadOptions} options
 * @param {Progression} progression
 * @param {(event: EventMessage) => void} onevent
 * @returns {Promise<Reply>}
 */
async function start({ base, crypto }, progression, onevent) {
  const assets = /** @type {Assets} */ (await (await fetch(new URL("assets.json", base))).json());
  const { directory, packages = [] } = assets.pyodide;
  const primitivesFile = "vendor/primitives.js";
  progression.expect(
    assets.bytes,
    (file) => file.startsWith(directory) || file === primitivesFile || assets.wheels.includes(file),
    `${directory}pyodide.asm.wasm`,
  );

  progression.enter("runtime");
  const [{ loadPyodide }] = await Promise.all(
    [`${directory}pyodide.mjs`, `${directory}pyodide.asm.mjs`, primitivesFile].map((file) => progression.import(file)),
  );
  pyodide = await loadPyodide({ indexURL: new URL(directory, base).href });
  // After a fatal error the interpreter settles nothing that is awaited any more: the page must hear of it from here.
  pyodide._api.on_fatal = reportError;

  progression.enter("packages");
  const { loadPrimitives } = await import("./primitives.js");
  pyodide.registerJsModule("mls_primitives", await loadPrimitives());
  pyodide.registerJsModule("mls_network", network);
  if (crypto !== "webjs" && packages.includes("cryptography")) await loadPackages(["cryptography"]);
  await installWheels(assets.wheels.map((wheel) => new URL(wheel, base).href));

  const started = /** @type {Bridge} */ (pyodide.pyimport("mls_federation.browser.bridge"));
  const reply = started.start(crypto, onevent);
  if (reply.ok) {
    bridge = started;
    progression.enter("ready");
  }
  return reply;
}

/** @param {string[]} wheels micropip and what it needs, then the client's own */
async function installWheels(wheels) {
  await loadPackages(wheels.slice(0, -1));
  // Without `deps=False` micropip would ask a registry about dependencies, from every visitor's browser.
  await pyodide.pyimport("micropip").install.callKwargs(wheels.at(-1), { deps: false });
}

/** @param {string[]} packages names or addresses */
async function loadPackages(packages) {
  /** @type {string[]} */
  const errors = [];
  await pyodide.loadPackage(packages, {
    messageCallback() {},
    errorCallback: (/** @type {string} */ error) => void errors.push(error),
  });
  // `loadPackage` reports a package that it could not load, and goes on without it.
  if (errors.length > 0) throw new Error(errors.join("; "));
}

/**
 * @param {unknown} error
 * @returns {Fault}
 */
function loadFault(error) {
  if (error instanceof LoadError) {
    return { code: "load-failed", message: error.message, details: { file: error.file, reason: error.reason } };
  }
  const reason = error instanceof Error ? error.message : String(error);
  return {
    code: "load-failed",
    message: `The MLS client could not start: ${reason}. Reload the page; if it happens again, use a current browser.`,
    details: { reason },
  };
}

expose(worker);
