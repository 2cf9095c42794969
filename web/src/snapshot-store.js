/**
 * The snapshot that is kept in this browser, and whether it is what was kept: before it are its size and its checksum, 4 octets each.
 */
import * as database from "./snapshot-database.js";
import * as files from "./snapshot-files.js";

const LABEL_OCTETS = 8;

const place = () => (files.hasFiles() ? files : database);

/**
 * A name for the snapshot of this release in this browser: another one's could not be loaded.
 *
 * @param {string} base address of the release's folder, which names its content
 * @param {string | undefined} pyodide address of the distribution that the page names
 * @returns {Promise<string>}
 */
export async function snapshotName(base, pyodide) {
  const suspending = "Suspending" in WebAssembly;
  const named = new TextEncoder().encode(JSON.stringify([base, pyodide ?? null, navigator.userAgent, suspending]));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", named));
  return Array.from(digest, (octet) => octet.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {string} name
 * @returns {Promise<{ size: number, read(): Promise<Uint8Array> } | undefined>} none where there is none, or no place for one
 */
export async function findSnapshot(name) {
  /** @type {number} */
  let size;
  try {
    size = await place().sizeOf(name);
  } catch {
    // There is none, or this browser keeps nothing, as in a private window of some.
    return undefined;
  }
  return {
    size,
    async read() {
      const content = await place().contentOf(name);
      const octets = content.subarray(LABEL_OCTETS);
      if (labelOf(octets).some((octet, index) => octet !== content[index])) throw new Error("it is not what was kept");
      return octets;
    },
  };
}

/**
 * Keep a snapshot instead of all others.
 *
 * @param {string} name
 * @param {Uint8Array} octets
 */
export async function keepSnapshot(name, octets) {
  const content = new Uint8Array(LABEL_OCTETS + octets.length);
  content.set(octets, LABEL_OCTETS);
  content.set(labelOf(content.subarray(LABEL_OCTETS)));
  await place().keep(name, content);
}

/** @param {string} name */
export async function dropSnapshot(name) {
  await place().drop(name);
}

/**
 * The size, and a checksum (FNV-1a, by words of 4 octets) that finds what went wrong by accident. Who can change what is kept with
 * intent can change its label too; and SHA-256 would take longer than reading.
 *
 * @param {Uint8Array<ArrayBuffer>} octets from a multiple of 4 on in their buffer
 * @returns {Uint8Array<ArrayBuffer>}
 */
function labelOf({ buffer, byteOffset, length }) {
  const words = new Uint32Array(buffer, byteOffset, length >> 2);
  let sum = 0x811c9dc5;
  // By index: an iterator takes six times as long.
  for (let index = 0; index < words.length; index++) sum = Math.imul(sum ^ /** @type {number} */ (words[index]), 0x01000193);
  // A memory has whole words; what a damaged one has beyond them, its size tells.
  return new Uint8Array(Uint32Array.of(length, sum).buffer);
}
