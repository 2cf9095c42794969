/**
 * The worker: Pyodide with the client in it. `index.js` starts it, as a module worker.
 *
 * @import { Started } from "./interpreter.js"
 * @import { CryptoProvider, EventMessage, Fault, LoadOptions, Progress, Reply, WorkerInterface } from "./protocol.js"
 */
import { Accounts } from "./accounts.js";
import { DistributionError, distributionAddress, hasCryptography, requireVersion } from "./distribution.js";
import * as facadeStore from "./facade-store.js";
import { bringArchives, filesOf, startInterpreter } from "./interpreter.js";
import { Downloads, LoadError } from "./loading.js";
import * as network from "./network.js";
import { policyFault, violationOf, webAssemblyViolation } from "./policy.js";
import { dropSnapshot, findSnapshot, snapshotName } from "./snapshot-store.js";
import { forPython as store } from "./store.js";
import { expose } from "./vendor/comlink.js";

/**
 * @typedef {{
 *   start(crypto: string, emit: (event: EventMessage) => void): Reply,
 *   call(method: string, params: unknown, signal: AbortSignal | undefined): Promise<Reply>,
 * }} Bridge `mls_federation.browser.bridge`
 */

/** When the archives are brought that a start from a snapshot does without, in milliseconds after it. */
const ARCHIVES_AFTER = 1000;

/** @type {any} */
let pyodide;
/** @type {Accounts | undefined} */
let accounts;
/** @type {Map<number, AbortController>} what ends a call's requests to delivery services, by the call */
const controllers = new Map();

/** @type {WorkerInterface} */
const worker = {
  async load(options, onprogress, onevent) {
    try {
      return await load(options, onprogress, onevent);
    } catch (error) {
      console.warn("mls-federation could not start:", error);
      return { ok: false, fault: await loadFault(error) };
    }
  },

  async call(id, method, params) {
    if (accounts === undefined) return { ok: false, fault: notLoaded };
    const controller = new AbortController();
    controllers.set(id, controller);
    try {
      return await accounts.call(method, params, controller.signal);
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
  // Pyodide would wait for ever.
  const forbidden = await webAssemblyViolation();
  if (forbidden !== undefined) return { ok: false, fault: policyFault(forbidden) };
  const downloads = new Downloads(new URL(".", import.meta.url).href, onprogress);
  try {
    // Pyodide waits for ever for WebAssembly that it cannot fetch.
    return await Promise.race([start(options, downloads, onevent), downloads.failed]);
  } finally {
    downloads.end();
  }
}

/**
 * @param {LoadOptions} options
 * @param {Downloads} downloads
 * @param {(event: EventMessage) => void} onevent
 * @returns {Promise<Reply>}
 */
async function start({ crypto, pyodide: named, snapshot }, downloads, onevent) {
  const name = await snapshotName(downloads.base, named);
  const [assets, kept] = await Promise.all([downloads.assets(), snapshot ? findSnapshot(name) : undefined]);
  const { directory, packages = [], version: needed } = assets.pyodide;
  const distribution = distributionAddress(downloads.base, assets.pyodide, named);
  /** @type {Started} */
  const started = { assets, distribution, lock: named === undefined && packages.length === 0 ? assets.pyodide.lock : undefined };
  const primitivesFile = "vendor/primitives.js";
  const expectFiles = (/** @type {boolean} */ withSnapshot) => {
    const { runtime, fetched, modules } = filesOf(started, withSnapshot);
    const needs = (/** @type {string} */ file) =>
      [runtime, ...fetched, ...modules, primitivesFile].includes(file) || (file.endsWith(".whl") && crypto !== "webjs");
    const sizes = Object.entries(assets.bytes).map(([file, size]) => {
      return /** @type {const} */ ([file.startsWith(directory) ? `${distribution}${file.slice(directory.length)}` : file, size]);
    });
    downloads.expect(Object.fromEntries(sizes.filter(([file]) => needs(file))), runtime);
  };
  expectFiles(kept !== undefined);
  void downloads.enter("runtime");
  // Another version may lack what is loaded next.
  if (named !== undefined) requireVersion(distribution, (await downloads.import(`${distribution}pyodide.mjs`)).version, needed);
  const primitives = downloads.import(primitivesFile).then(async () => (await import("./primitives.js")).loadPrimitives());
  // It is waited for below, and `failed` tells if it cannot be had.
  primitives.catch(() => {});

  const restored = kept && (await fromSnapshot(name, kept, started, downloads));
  if (restored === undefined) expectFiles(false);
  pyodide = restored ?? (await startInterpreter(started, downloads));
  // After a fatal error the interpreter settles nothing that is awaited any more: the page must hear of it from here.
  pyodide._api.on_fatal = reportError;

  void downloads.enter("packages");
  pyodide.registerJsModule("mls_primitives", await primitives);
  pyodide.registerJsModule("mls_network", network);
  pyodide.registerJsModule("mls_store", store);
  pyodide.registerJsModule("mls_facade_store", facadeStore);
  const served = named === undefined ? assets.pyodide : undefined;
  const archives = () => restored && bringArchives(pyodide, started, downloads);
  const packaged = crypto !== "webjs" && (await hasCryptography(distribution, served));
  if (packaged) {
    await archives();
    await loadPackages(["cryptography"]);
  }

  const bridge = /** @type {Bridge} */ (pyodide.pyimport("mls_federation.browser.bridge"));
  const running = new Accounts((method, params, signal) => bridge.call(method, pyodide.toPy(params), signal), onevent);
  const reply = bridge.start(crypto, (event) => running.tell(event));
  if (!reply.ok) return reply;
  accounts = running;
  await downloads.enter("ready");
  // Everything that the client itself imports is in the snapshot; the page's first calls come first.
  if (restored && !packaged) {
    setTimeout(() => {
      archives()?.catch((/** @type {unknown} */ error) => console.warn("mls-federation lacks Python's standard library:", error));
    }, ARCHIVES_AFTER);
  }
  const chosen = /** @type {{ crypto: CryptoProvider }} */ (reply.value);
  return { ok: true, value: { ...chosen, startedFrom: restored ? "snapshot" : "files" } };
}

/**
 * @param {string} name
 * @param {NonNullable<Awaited<ReturnType<typeof findSnapshot>>>} kept
 * @param {Started} started
 * @param {Downloads} downloads
 * @returns {Promise<any>} nothing if it is no good; it is dropped then, and a later visit makes another
 */
async function fromSnapshot(name, kept, started, downloads) {
  downloads.expectMore(kept.size);
  try {
    const snapshot = kept.read();
    snapshot.then(() => downloads.arrived(kept.size), () => {});
    const restored = await startInterpreter(started, downloads, { snapshot });
    restored.pyimport("mls_federation.browser.startup").resume();
    return restored;
  } catch (error) {
    if (error instanceof LoadError) throw error;
    console.warn("mls-federation starts from its files, since its snapshot cannot be used:", error);
    // Another page may have it open, and finds out the same.
    await dropSnapshot(name).catch((reason) => console.warn("The snapshot could not be deleted:", reason));
    return undefined;
  }
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
 * @returns {Promise<Fault>}
 */
async function loadFault(error) {
  if (error instanceof DistributionError) return error.fault;
  if (error instanceof LoadError) {
    const violation = await violationOf(error.file);
    if (violation !== undefined) return policyFault(violation);
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
