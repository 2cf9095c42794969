/**
 * What is kept between visits: parts of octets by account, in IndexedDB, encrypted under a key of the account that no script can
 * export. A part is named by two numbers, its kind and its place.
 *
 * The key is kept beside what it encrypts, as a `CryptoKey`: whoever copies the files of the browser's profile has to break the
 * browser's own way of storing it, and a script of this origin can use it, but not take it away.
 *
 * The worker uses it, and through it Python, for which what goes wrong comes back as a value.
 *
 * @typedef {[kind: number, place: number]} Place
 * @typedef {[kind: number, place: number, octets: Uint8Array]} Part
 * @typedef {{ iv: Uint8Array<ArrayBuffer>, octets: ArrayBuffer }} Sealed
 * @typedef {{ account: string, key: CryptoKey, about: Sealed }} Row
 * @typedef {{ kind: "refused" | "failed" | "unreadable", reason: string }} StoreFailure `refused`: this browser lets the page keep
 *   nothing at all
 */
import { openDB } from "./vendor/idb.js";

const NAME = "mls-federation";
const VERSION = 1;
const IV_SIZE = 12;

/** @type {Promise<import("idb").IDBPDatabase<any>> | undefined} */
let opened;
/** @type {Map<string, CryptoKey>} */
const keys = new Map();

/** Nothing can be kept, or what was kept cannot be read. */
export class StoreError extends Error {
  /**
   * @param {StoreFailure["kind"]} kind
   * @param {string} reason
   */
  constructor(kind, reason) {
    super(reason);
    this.kind = kind;
  }
}

/** @returns {Promise<import("idb").IDBPDatabase<any>>} */
function database() {
  opened ??= openDatabase().catch((error) => {
    opened = undefined;
    throw new StoreError("refused", `this browser does not let the page keep anything (${reasonOf(error)})`);
  });
  return opened;
}

/** @returns {Promise<import("idb").IDBPDatabase<any>>} */
async function openDatabase() {
  const forget = () => (opened = undefined);
  return openDB(NAME, VERSION, {
    upgrade(upgrading) {
      upgrading.createObjectStore("account", { keyPath: "account" });
      upgrading.createObjectStore("part");
    },
    // Another tab has a newer version of the page, and waits for this.
    blocking: (_, __, event) => (forget(), /** @type {IDBDatabase} */ (event.target).close()),
    terminated: forget,
  });
}

/**
 * What there is, and what was said about it.
 *
 * @returns {Promise<{ account: string, about: any }[]>}
 * @throws {StoreError}
 */
export async function accounts() {
  return guarded(async () => {
    /** @type {Row[]} */
    const rows = await (await database()).getAll("account");
    return Promise.all(rows.map(async ({ account, key, about }) => ({ account, about: await aboutOf(account, key, about) })));
  });
}

/**
 * All parts of an account, by kind and place.
 *
 * @param {string} account
 * @returns {Promise<Part[]>} none if there is no such account
 * @throws {StoreError}
 */
export async function readParts(account) {
  return guarded(async () => {
    const reading = (await database()).transaction(["account", "part"]);
    const parts = reading.objectStore("part");
    const [row, places, sealed] = await Promise.all([
      reading.objectStore("account").get(account),
      parts.getAllKeys(ofAccount(account)),
      parts.getAll(ofAccount(account)),
    ]);
    if (row === undefined) return [];
    return Promise.all(
      places.map(async ([, kind, place], index) => {
        const octets = await unseal(row.key, [account, kind, place], /** @type {Sealed} */ (sealed[index]));
        return /** @type {Part} */ ([kind, place, octets]);
      }),
    );
  });
}

/**
 * Write and delete parts in one transaction: when this returns, all of it is on the disk, or nothing is.
 *
 * @param {string} account made if it is not there
 * @param {Part[]} writes
 * @param {Place[]} deletes
 * @param {unknown} [about] what is to be said of the account from now on, as JSON; needed for a new one
 * @returns {Promise<void>}
 * @throws {StoreError}
 */
export async function writeParts(account, writes, deletes, about) {
  return guarded(async () => {
    const known = await database();
    const key = keys.get(account) ?? (await known.get("account", account))?.key ?? (await newKey());
    // A transaction ends by itself as soon as something else is awaited, so everything is encrypted before it begins.
    const sealed = await Promise.all(
      writes.map(([kind, place, octets]) => seal(key, [account, kind, place], /** @type {Uint8Array<ArrayBuffer>} */ (octets))),
    );
    const row = about === undefined ? undefined : { account, key, about: await seal(key, [account], encoded(about)) };

    const writing = known.transaction(["account", "part"], "readwrite", { durability: "strict" });
    const [rows, parts] = [writing.objectStore("account"), writing.objectStore("part")];
    const requests = [
      ...(row === undefined ? [] : [rows.put(row)]),
      ...writes.map(([kind, place], index) => parts.put(sealed[index], [account, kind, place])),
      ...deletes.map(([kind, place]) => parts.delete([account, kind, place])),
    ];
    await Promise.all([...requests, writing.done]);
    keys.set(account, key);
  });
}

/**
 * Forget an account, with its key: nothing can decrypt any more what a disk may still have of it.
 *
 * @param {string} account
 * @throws {StoreError}
 */
export async function removeAccount(account) {
  return guarded(async () => {
    const writing = (await database()).transaction(["account", "part"], "readwrite", { durability: "strict" });
    await Promise.all([
      writing.objectStore("part").delete(ofAccount(account)),
      writing.objectStore("account").delete(account),
      writing.done,
    ]);
    keys.delete(account);
  });
}

/**
 * A key from a passphrase: PBKDF2 with HMAC-SHA-256 (RFC 8018).
 *
 * @param {string} passphrase
 * @param {Uint8Array} salt
 * @param {number} iterations
 * @returns {Promise<Uint8Array>} 32 octets
 */
export async function stretch(passphrase, salt, iterations) {
  const given = await crypto.subtle.importKey("raw", new TextEncoder().encode(passphrase), "PBKDF2", false, ["deriveBits"]);
  const bits = await crypto.subtle.deriveBits(
    { name: "PBKDF2", hash: "SHA-256", salt: /** @type {Uint8Array<ArrayBuffer>} */ (salt), iterations },
    given,
    256,
  );
  return new Uint8Array(bits);
}

/**
 * The port of `mls_federation.browser.storage`: the same functions, with failures as values.
 *
 * @template {unknown[]} Arguments
 * @template Result
 * @param {(...given: Arguments) => Promise<Result>} work
 * @returns {(...given: Arguments) => Promise<Result | { failure: StoreFailure }>}
 */
const asValue =
  (work) =>
  async (...given) => {
    try {
      return await work(...given);
    } catch (error) {
      if (error instanceof StoreError) return { failure: { kind: error.kind, reason: error.message } };
      throw error;
    }
  };

export const forPython = {
  read: asValue(readParts),
  write: asValue(writeParts),
  remove: asValue(removeAccount),
  stretch,
};

/**
 * @template Result
 * @param {() => Promise<Result>} work
 * @returns {Promise<Result>}
 */
async function guarded(work) {
  try {
    return await work();
  } catch (error) {
    if (error instanceof StoreError) throw error;
    // Such as QuotaExceededError: the disk is full, or the browser's bound is reached.
    throw new StoreError("failed", reasonOf(error));
  }
}

/** @param {unknown} error */
const reasonOf = (error) => (error instanceof Error ? `${error.name}: ${error.message}` : String(error));

/** @param {unknown} value */
const encoded = (value) => new TextEncoder().encode(JSON.stringify(value));

/** @param {string} account */
const ofAccount = (account) => IDBKeyRange.bound([account], [account, []]);

const newKey = () =>
  /** @type {Promise<CryptoKey>} */ (crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]));

/**
 * A nonce is drawn for each part that is written: 2^32 of them under one key, which no client reaches, keep the odds of two alike
 * below 2^-32.
 *
 * @param {CryptoKey} key
 * @param {unknown[]} name where it stands: it decrypts nowhere else
 * @param {Uint8Array<ArrayBuffer>} octets
 * @returns {Promise<Sealed>}
 */
async function seal(key, name, octets) {
  const iv = crypto.getRandomValues(new Uint8Array(IV_SIZE));
  return { iv, octets: await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: encoded(name) }, key, octets) };
}

/**
 * @param {CryptoKey} key
 * @param {unknown[]} name
 * @param {Sealed} sealed
 * @returns {Promise<Uint8Array>}
 */
async function unseal(key, name, { iv, octets }) {
  try {
    return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv, additionalData: encoded(name) }, key, octets));
  } catch {
    throw new StoreError("unreadable", `what is kept as ${name.join("/")} was altered, or is not ours`);
  }
}

/**
 * @param {string} account
 * @param {CryptoKey} key
 * @param {Sealed} about
 */
async function aboutOf(account, key, about) {
  return JSON.parse(new TextDecoder().decode(await unseal(key, [account], about)));
}
