/**
 * A worker that makes a snapshot for the next visit: an interpreter of its own imports the client, and its memory is kept.
 *
 * It is told which Pyodide distribution the page names, if any, answers with a `SnapshotOutcome`, and is ended.
 *
 * @import { SnapshotOutcome } from "./protocol.js"
 */
import { distributionAddress } from "./distribution.js";
import { startInterpreter } from "./interpreter.js";
import { Downloads } from "./loading.js";
import { keepSnapshot, snapshotName } from "./snapshot-store.js";

// What is kept, and as much again, so that the page's own data finds room.
const NEEDED_OCTETS = 2 * 32 * 1024 * 1024;

/**
 * @param {string | undefined} named address of the distribution that the page names
 * @returns {Promise<SnapshotOutcome>}
 */
async function make(named) {
  // Not every browser tells how much it has; one that has too little refuses what it is given.
  const { quota = Infinity, usage = 0 } = (await navigator.storage?.estimate()) ?? {};
  if (quota - usage < NEEDED_OCTETS) return { kept: false, reason: "the browser has no room for it" };
  return navigator.locks.request("mls-federation-snapshot", { ifAvailable: true }, async (lock) => {
    if (lock === null) return { kept: false, reason: "another page makes one" };
    const downloads = new Downloads(new URL(".", import.meta.url).href, () => {});
    const octets = await Promise.race([downloads.failed, memoryOf(downloads, named)]);
    await keepSnapshot(await snapshotName(downloads.base, named), octets);
    return { kept: true };
  });
}

/**
 * @param {Downloads} downloads
 * @param {string | undefined} named
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
async function memoryOf(downloads, named) {
  const assets = await downloads.assets();
  const distribution = distributionAddress(downloads.base, assets.pyodide, named);
  // A snapshot has no package in it, so no list of packages is needed.
  const pyodide = await startInterpreter({ assets, distribution, lock: assets.pyodide.lock }, downloads, { makesSnapshot: true });
  pyodide.pyimport("mls_federation.browser.startup").prepare_snapshot();
  return pyodide.makeMemorySnapshot();
}

addEventListener("message", async ({ data }) => {
  /** @type {SnapshotOutcome} */
  let outcome;
  try {
    outcome = await make(data);
  } catch (error) {
    outcome = { kept: false, reason: error instanceof Error ? error.message : String(error) };
  }
  postMessage(outcome);
});
