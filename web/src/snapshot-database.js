/**
 * Snapshots in an IndexedDB database of their own, for browsers whose origins have no file system.
 *
 * The origin's caches would do too, but WebKit forgets what a worker has put into them when that worker is ended soon after.
 */

const DATABASE = "mls-federation-snapshots";
const SIZES = "sizes";
const CONTENTS = "contents";

/**
 * @param {string} name
 * @returns {Promise<number>} octets
 */
export async function sizeOf(name) {
  const size = await inStores("readonly", (store) => store(SIZES).get(name));
  if (size === undefined) throw new Error("there is none of this name");
  return size;
}

/**
 * @param {string} name
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function contentOf(name) {
  return inStores("readonly", (store) => store(CONTENTS).get(name));
}

/**
 * Keep this alone.
 *
 * @param {string} name
 * @param {Uint8Array<ArrayBuffer>} content
 */
export async function keep(name, content) {
  await inStores("readwrite", (store) => {
    store(SIZES).clear();
    store(CONTENTS).clear();
    store(CONTENTS).put(content, name);
    return store(SIZES).put(content.length, name);
  });
}

/** @param {string} name */
export async function drop(name) {
  await inStores("readwrite", (store) => {
    store(CONTENTS).delete(name);
    return store(SIZES).delete(name);
  });
}

/**
 * @param {IDBTransactionMode} mode
 * @param {(store: (name: string) => IDBObjectStore) => IDBRequest} work
 * @returns {Promise<any>} what its last request gave, once the whole is done
 */
async function inStores(mode, work) {
  const database = await opened();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction([SIZES, CONTENTS], mode);
      const request = work((name) => transaction.objectStore(name));
      transaction.addEventListener("complete", () => resolve(request.result));
      transaction.addEventListener("abort", () => reject(transaction.error));
    });
  } finally {
    database.close();
  }
}

/** @returns {Promise<IDBDatabase>} */
function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE);
    request.addEventListener("upgradeneeded", () => {
      for (const name of [SIZES, CONTENTS]) request.result.createObjectStore(name);
    });
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error));
  });
}
