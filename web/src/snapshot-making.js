/**
 * When a snapshot for the next visit is made: once the page has had time for what it was opened for, and its thread is idle.
 *
 * @import { SnapshotOutcome } from "./protocol.js"
 */
import { startWorker } from "./starting.js";

const AFTER_MILLISECONDS = 5000;

/**
 * @param {string} base address of the folder that holds the worker
 * @param {string | undefined} pyodide address of the distribution that the page names
 * @param {(outcome: SnapshotOutcome) => void} ondone
 * @returns {() => void} gives it up
 */
export function makeSnapshotWhenIdle(base, pyodide, ondone) {
  /** @type {Worker | undefined} */
  let worker;
  let givenUp = false;

  const begin = async () => {
    if (givenUp) return;
    worker = startWorker(base, "snapshot-worker.js");
    const outcome = await outcomeOf(worker, pyodide);
    worker.terminate();
    ondone(outcome);
  };

  setTimeout(() => ("requestIdleCallback" in globalThis ? requestIdleCallback(begin) : begin()), AFTER_MILLISECONDS);
  return () => {
    givenUp = true;
    worker?.terminate();
  };
}

/**
 * @param {Worker} worker
 * @param {string | undefined} pyodide
 * @returns {Promise<SnapshotOutcome>}
 */
function outcomeOf(worker, pyodide) {
  return new Promise((resolve) => {
    worker.addEventListener("message", ({ data }) => resolve(data));
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      resolve({ kept: false, reason: event.message || "its worker could not be loaded" });
    });
    worker.postMessage(pyodide);
  });
}
