/**
 * Our engine inside Pyodide, as in a page: the same wheel, on the same primitives.
 *
 * The first message is `{ pyodide, wheel, primitives, archive }`: addresses of Pyodide's folder, of our wheel, of our module of
 * primitives, and of a ZIP with the benchmark's own modules. Each later one is a request.
 */
let side;

async function start({ pyodide: folder, wheel, primitives, archive }) {
  const { loadPyodide } = await import(`${folder}pyodide.mjs`);
  const pyodide = await loadPyodide({ indexURL: folder });
  // After a fatal error nothing that was awaited ever ends.
  pyodide._api.on_fatal = (error) => self.postMessage({ error: `the interpreter died: ${error}` });
  const { loadPrimitives } = await import(primitives);
  pyodide.registerJsModule("mls_primitives", await loadPrimitives());
  const problems = [];
  await pyodide.loadPackage([wheel], { messageCallback() {}, errorCallback: (text) => problems.push(text) });
  if (problems.length > 0) throw new Error(problems.join("\n"));
  const response = await fetch(archive);
  if (!response.ok) throw new Error(`${archive}: ${response.status}`);
  pyodide.unpackArchive(await response.arrayBuffer(), "zip", { extractDir: "/home/pyodide/parts" });
  side = pyodide.runPython(`
import sys
sys.path.insert(0, "/home/pyodide/parts")
from benchmarks.speed.pyodide_side import side
side()
`);
  return `Pyodide ${pyodide.version}`;
}

self.onmessage = async ({ data }) => {
  try {
    self.postMessage({ result: side === undefined ? await start(data) : side.call(data) });
  } catch (error) {
    self.postMessage({ error: String(error?.stack ?? error) });
  }
};
