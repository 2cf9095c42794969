/**
 * Snapshots as files of the origin's own file system, which a worker reads several times quicker than what a database or a cache holds.
 */

const FOLDER = "mls-federation-snapshots";

/** Whether this browser has such a file system. */
export const hasFiles = () => typeof navigator.storage?.getDirectory === "function";

/** @returns {Promise<FileSystemDirectoryHandle>} */
async function folder() {
  return (await navigator.storage.getDirectory()).getDirectoryHandle(FOLDER, { create: true });
}

/**
 * @param {string} name
 * @returns {Promise<number>} octets
 */
export async function sizeOf(name) {
  return (await (await (await folder()).getFileHandle(name)).getFile()).size;
}

/**
 * @param {string} name
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function contentOf(name) {
  const file = await (await folder()).getFileHandle(name);
  /** @type {FileSystemSyncAccessHandle} */
  let access;
  try {
    access = await file.createSyncAccessHandle();
  } catch (error) {
    // One at a time has this quick access: another page starts too.
    if (!(error instanceof DOMException) || !LOCKED.includes(error.name)) throw error;
    return new Uint8Array(await (await file.getFile()).arrayBuffer());
  }
  try {
    const content = new Uint8Array(access.getSize());
    const read = access.read(content, { at: 0 });
    if (read !== content.length) throw new Error(`only ${read} of ${content.length} octets of it could be read`);
    return content;
  } finally {
    access.close();
  }
}

const LOCKED = ["NoModificationAllowedError", "InvalidStateError"];

/**
 * Keep this alone.
 *
 * @param {string} name
 * @param {Uint8Array<ArrayBuffer>} content
 */
export async function keep(name, content) {
  const directory = await folder();
  for await (const other of directory.keys()) await directory.removeEntry(other);
  const access = await (await directory.getFileHandle(name, { create: true })).createSyncAccessHandle();
  try {
    if (access.write(content, { at: 0 }) !== content.length) throw new Error("the browser has no room for it");
    access.flush();
  } finally {
    access.close();
  }
}

/** @param {string} name */
export async function drop(name) {
  await (await folder()).removeEntry(name);
}
