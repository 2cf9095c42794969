/**
 * The console's worker: Python with the client in it, which runs one cell after another. What it prints are messages of their
 * own, `Output`, on the same way as the results, so that they keep their order.
 *
 * @typedef {{ printed: string, kind: "out" | "err" }} Output
 * @typedef {{ ok: boolean, text: string }} CellResult
 * @typedef {{
 *   start(services: Record<string, string>): Promise<void>,
 *   run(source: string, number: number): Promise<CellResult>,
 * }} ConsoleWorker
 */
import { expose } from "/mls-federation/comlink.js";
import { install } from "/mls-federation/python.js";
// @ts-ignore - the interpreter is served with the client; its types are not.
import { loadPyodide } from "/mls-federation/pyodide.mjs";

/** @type {any} */
let cells;

/** @type {ConsoleWorker} */
const worker = {
  async start(services) {
    const pyodide = await loadPyodide();
    pyodide.setStdout({ batched: (/** @type {string} */ text) => print(text, "out") });
    pyodide.setStderr({ batched: (/** @type {string} */ text) => print(text, "err") });
    const response = await fetch("/pyscript/console.py");
    if (!response.ok) throw new Error(`/pyscript/console.py could not be loaded (HTTP ${response.status}).`);
    pyodide.FS.writeFile("console_cells.py", await response.text());
    await install(pyodide);
    cells = pyodide.pyimport("console_cells");
    cells.provide(services);
  },

  async run(source, number) {
    const result = await cells.run_cell(source, number);
    const [ok, text] = result.toJs();
    result.destroy();
    return { ok, text };
  },
};

/**
 * @param {string} printed a line
 * @param {Output["kind"]} kind
 */
function print(printed, kind) {
  postMessage(/** @type {Output} */ ({ printed, kind }));
}

expose(worker);
