/**
 * Runs pytest inside Pyodide. Posts `{ line }` for each line of its output, then `{ report }` or `{ error }`.
 *
 * The page that starts it gives `{ pyodide, wheels, primitives, archive, directory }`: addresses of Pyodide's folder, of wheels
 * in the order of their installation, of our module of primitives, of a ZIP with the tests, and where to unpack that.
 *
 * Tests can ask the page something by the module `test_page`: `{ asked, question }` is posted, and the page answers with
 * `{ asked, answer }`.
 */
const asked = new Map();
let count = 0;

/** @param {string} question */
const ask = (question) =>
  new Promise((resolve) => {
    const number = count++;
    asked.set(number, resolve);
    self.postMessage({ asked: number, question });
  });

self.onmessage = ({ data }) => {
  if (!("answer" in data)) return void runTests(data);
  asked.get(data.asked)(data.answer);
  asked.delete(data.asked);
};

async function runTests({ pyodide: pyodideFolder, wheels, primitives, archive, directory }) {
  try {
    const { loadPyodide } = await import(`${pyodideFolder}pyodide.mjs`);
    const pyodide = await loadPyodide({
      indexURL: pyodideFolder,
      stdout: (line) => self.postMessage({ line }),
      stderr: (line) => self.postMessage({ line }),
    });
    // After a fatal error nothing that was awaited ever ends.
    pyodide._api.on_fatal = (error) => self.postMessage({ error: `the interpreter died: ${error}` });
    const { loadPrimitives } = await import(primitives);
    pyodide.registerJsModule("mls_primitives", await loadPrimitives());
    pyodide.registerJsModule("test_page", { ask });

    const problems = [];
    await pyodide.loadPackage(wheels, { messageCallback() {}, errorCallback: (text) => problems.push(text) });
    if (problems.length > 0) throw new Error(problems.join("\n"));

    const response = await fetch(archive);
    if (!response.ok) throw new Error(`${archive}: ${response.status}`);
    pyodide.unpackArchive(await response.arrayBuffer(), "zip", { extractDir: directory });
    // A coroutine, so that Python may wait for JavaScript (asyncio.run inside a test) by switching stacks.
    const report = await pyodide.runPythonAsync("import sys; sys.path.insert(0, project); import run_inside; run_inside.main()", {
      globals: pyodide.toPy({ project: `${directory}/main` }),
    });
    self.postMessage({ report });
  } catch (error) {
    self.postMessage({ error: String(error?.stack ?? error) });
  }
}
