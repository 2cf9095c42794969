/** Makes the client importable in the page's Python before that runs, and shows how it goes. */
// @ts-ignore - PyScript's core is served beside this file; it is not imported from npm.
import { hooks } from "/pyscript/core/core.js";
import { install } from "/mls-federation/python.js";

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const script = /** @type {HTMLScriptElement} */ (document.querySelector('script[type="py"]'));

/**
 * @param {"connecting" | "connected" | "disconnected"} state
 * @param {string} text
 */
function show(state, text) {
  byId("state").dataset.state = state;
  byId("state").textContent = text;
}

/** @param {unknown} error */
function fail(error) {
  show("disconnected", "Failed");
  byId("problem").textContent = error instanceof Error ? error.message : String(error);
  byId("problem").hidden = false;
}

const lines = script.text.replace(/^\n/, "").trimEnd().split("\n");
const indent = Math.min(...lines.filter((line) => line.trim() !== "").map((line) => line.search(/\S/)));
byId("program").textContent = lines.map((line) => line.slice(indent)).join("\n");

hooks.main.onReady.add(async (/** @type {any} */ { interpreter, io }) => {
  const { stderr } = io;
  io.stderr = (/** @type {unknown} */ error) => {
    fail(error);
    return stderr(error);
  };
  try {
    await install(interpreter);
    show("connecting", "Running…");
  } catch (error) {
    fail(error);
    throw error;
  }
});
script.addEventListener("py:done", () => byId("problem").hidden && show("connected", "Done"));
