/**
 * Runs `bytecode.py` in Pyodide: node bytecode.mjs <pyodide's folder> <wheel> <folder to write to>
 */
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [pyodideFolder, wheel, target] = process.argv.slice(2).map((path) => resolve(path));
const { loadPyodide } = await import(pathToFileURL(join(pyodideFolder, "pyodide.mjs")).href);
const pyodide = await loadPyodide();

try {
  const archives = [join(pyodideFolder, "python_stdlib.zip"), wheel].map((file) => {
    const inside = `/tmp/${basename(file)}`;
    pyodide.FS.writeFile(inside, readFileSync(file));
    return inside;
  });
  pyodide.runPython(readFileSync(new URL("bytecode.py", import.meta.url), "utf8"));
  pyodide.globals.get("compile_archives")(...archives, "/tmp/compiled");
  for (const name of pyodide.FS.readdir("/tmp/compiled")) {
    if (!name.startsWith(".")) writeFileSync(join(target, name), pyodide.FS.readFile(`/tmp/compiled/${name}`));
  }
} catch (error) {
  // Node would show the line that it comes from, which is all of Pyodide.
  console.error(String(error));
  process.exit(1);
}
// Pyodide's event loop would keep Node alive.
process.exit(0);
