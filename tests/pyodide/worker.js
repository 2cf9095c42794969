/**
 * Runs pytest inside Pyodide. Posts `{ line }` for each line of its output, then `{ report }` or `{ error }`.
 *
 * The page that starts it gives `{ pyodide, wheels, primitives, archive, directory }`: addresses of Pyodide's folder, of wheels
 * in the order of their installation, of our module of primitives, of a ZIP with the tests, and where to unpack that.
 */
self.onmessage = async ({ data: { pyodide: pyodideFolder, wheels, primitives, archive, directory } }) => {
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
};
