/**
 * An interpreter with the client in it: Pyodide, started from its files or from a memory snapshot.
 *
 * @import { Assets, Downloads } from "./loading.js"
 */

/**
 * What is started: `distribution` is the address of Pyodide's folder, `lock` its list of packages where that need not be loaded.
 *
 * @typedef {{ assets: Assets, distribution: string, lock: object | undefined }} Started
 */

/**
 * @param {Started} started
 * @param {boolean} [fromSnapshot]
 * @returns {{ runtime: string, fetched: string[], modules: string[], library: string }} addresses of the files that a start needs, or
 *   relative ones
 */
export function filesOf({ assets: { wheels }, distribution }, fromSnapshot = false) {
  const runtime = `${distribution}pyodide.asm.wasm`;
  const library = `${distribution}python_stdlib.zip`;
  return {
    runtime,
    fetched: fromSnapshot ? [runtime] : [runtime, library, ...wheels],
    modules: [`${distribution}pyodide.mjs`, `${distribution}pyodide.asm.mjs`],
    library,
  };
}

/**
 * Start an interpreter whose Python finds the client; nothing of the client is imported yet, unless a snapshot has it. Then the archives
 * with what is not imported are left to `bringArchives`, which has time.
 *
 * @param {Started} started
 * @param {Downloads} downloads
 * @param {{ snapshot?: Promise<Uint8Array>, makesSnapshot?: boolean }} [options] `makesSnapshot`: it is to be a snapshot, and good for
 *   nothing else
 * @returns {Promise<any>}
 */
export async function startInterpreter(started, downloads, { snapshot, makesSnapshot = false } = {}) {
  const { runtime, fetched, modules } = filesOf(started, snapshot !== undefined);
  // A later visit has them in the browser: to count the pieces would take longer than to read them.
  for (const file of fetched) downloads.begin(file, { inPieces: snapshot === undefined });
  const nothing = `${started.distribution}nothing.zip`;
  if (snapshot) downloads.answer(nothing, new Response());
  const instantiating = instantiateFrom(downloads.compiled(runtime));
  const wheels = snapshot ? [] : started.assets.wheels.map((wheel) => ({ path: pathOf(wheel), octets: downloads.octets(wheel) }));
  const [{ loadPyodide }, { default: createPyodideModule }] = await Promise.all(
    modules.map((file) => downloads.import(file)),
  );

  const pyodide = await loadPyodide({
    indexURL: started.distribution,
    createPyodideModule,
    // The list of Pyodide's own packages is long, and needed where one is asked for.
    ...(started.lock === undefined ? {} : { lockFileContents: started.lock }),
    ...(makesSnapshot ? { _makeSnapshot: true } : {}),
    // Pyodide insists on a standard library; what a start reads of it is in the snapshot.
    ...(snapshot ? { _loadSnapshot: snapshot, stdLibURL: nothing } : {}),
    // The file system is no part of a snapshot.
    async fsInit(/** @type {any} */ FS) {
      for (const { path, octets } of wheels) FS.writeFile(path, await octets);
    },
  }).finally(instantiating.end);
  // Modules are imported from the archives themselves, which takes less time than unpacking them.
  for (const { path } of wheels) pyodide.pyimport("sys").path.append(path);
  return pyodide;
}

/**
 * Put the standard library and the client where an interpreter that was started from a snapshot looks for what is not imported yet.
 *
 * @param {any} pyodide
 * @param {Started} started
 * @param {Downloads} downloads
 */
export async function bringArchives(pyodide, started, downloads) {
  const { FS } = pyodide;
  const library = FS.readdir("/lib").find((/** @type {string} */ name) => /^python\d+\.zip$/.test(name));
  const archives = [
    { path: `/lib/${library}`, file: filesOf(started).library },
    ...started.assets.wheels.map((wheel) => ({ path: pathOf(wheel), file: wheel })),
  ];
  await Promise.all(archives.map(async ({ path, file }) => FS.writeFile(path, await downloads.octets(file))));
}

/** @param {string} wheel address */
const pathOf = (wheel) => `/lib/${wheel.split("/").pop()}`;

/**
 * Have Pyodide use a module that is compiled already. It would begin to compile when it has the snapshot, and both take their time.
 *
 * @param {Promise<WebAssembly.Module>} compiled
 * @returns {{ end(): void }} `end`: others get what WebAssembly has by itself again
 */
function instantiateFrom(compiled) {
  const { instantiateStreaming } = WebAssembly;
  WebAssembly.instantiateStreaming = async (_, imports) => {
    const module = await compiled;
    return { module, instance: await WebAssembly.instantiate(module, imports) };
  };
  return { end: () => (WebAssembly.instantiateStreaming = instantiateStreaming) };
}
