/**
 * Messaging Layer Security (RFC 9420) between delivery services, for a page.
 *
 * ```js
 * import { MLSFederation } from "/mls-federation/index.js";
 * const mls = await MLSFederation.load();
 * await mls.setDeliveryService("a.example", "https://ds.a.example");
 * const alice = await mls.createClient({ identity: "alice@a.example" });
 * ```
 *
 * The client runs in a worker; every call is asynchronous, and whatever fails is an `MLSError`.
 *
 * @import {
 *   Account, AllRequests, CryptoChoice, CryptoProvider, DecodedPart, DeliveryService, EventMessage, Fanout, OpenState, Progress,
 *   RatchetTree, SelfTestResult, SnapshotOutcome, StartedFrom,
 * } from "./protocol.js"
 */
import { Client } from "./client.js";
import { Engine } from "./engine.js";
import { MLSError } from "./errors.js";
import { receive, request } from "./internal.js";
import { keepForOffline } from "./offline.js";
import { makeSnapshotWhenIdle } from "./snapshot-making.js";

export { Client } from "./client.js";
export { MLSError } from "./errors.js";
export { Group } from "./group.js";

// Bundlers take `new URL("…", import.meta.url)` for a file that they have to copy.
const ownAddress = import.meta.url;

/**
 * @param {string} address of a folder, as the page may write it
 * @param {string} name of the option
 * @returns {string}
 */
function folder(address, name) {
  try {
    return new URL(address.endsWith("/") ? address : `${address}/`, globalThis.location.href).href;
  } catch {
    throw new MLSError("bad-argument", `${name} must be the address of a folder, not ${JSON.stringify(address)}.`);
  }
}

/**
 * The client's engine, loaded into a worker of its own.
 *
 * Events: `error` (detail: `MLSError`) when the worker ends by itself; after it every call fails with the same: `worker-ended`, or
 * `suspended` in a page to which the visitor has come back, and which the browser had kept aside.
 * `snapshot` (detail: `SnapshotOutcome`) when one for the next visit was made, or could not be.
 */
export class MLSFederation extends EventTarget {
  #engine;
  /** @type {CryptoProvider} */
  #crypto = "webjs";
  /** @type {Map<number, Client>} */
  #clients = new Map();
  #nextClient = 1;
  /** @type {Map<number, EventMessage[]>} what has arrived before the page had a chance to listen to its client */
  #early = new Map();
  /** @type {StartedFrom} */
  #startedFrom = "files";
  #giveUpSnapshot = () => {};

  /**
   * @internal pages call `load()`
   * @param {Engine} engine
   */
  constructor(engine) {
    super();
    this.#engine = engine;
  }

  /**
   * Load Pyodide and the client. One engine serves a page; several clients may share it.
   *
   * @param {object} [options]
   * @param {CryptoChoice} [options.crypto] `auto` (default) takes `pyca` where the Pyodide distribution has its wheel, else `webjs`
   * @param {string} [options.base] address of the folder that holds the worker and what it loads, by default that of this module
   * @param {string} [options.pyodide] address of the folder of a Pyodide distribution, by default the one that is served with this module
   * @param {(progress: Progress) => void} [options.onprogress] called as files arrive
   * @param {boolean} [options.snapshot] whether a snapshot in this browser's storage, some 30 MB, shortens later visits; by default yes
   * @param {AbortSignal} [options.signal] ends the loading
   * @returns {Promise<MLSFederation>}
   * @throws {MLSError} `load-failed` (details: `file`, `reason`), `blocked-by-policy` (details: `directive`, `blocked`),
   *   `wrong-pyodide-version`, `no-cryptography`, `bad-argument`
   */
  static async load({
    crypto = "auto",
    base = new URL(".", ownAddress).href,
    pyodide,
    onprogress = () => {},
    snapshot = true,
    signal,
  } = {}) {
    signal?.throwIfAborted();
    /** @type {MLSFederation} */
    let federation;
    const from = folder(base, "base");
    const distribution = pyodide === undefined ? undefined : folder(pyodide, "pyodide");
    const engine = await Engine.start(from, (error) => federation.#onEnd(error));
    federation = new MLSFederation(engine);
    const abort = () => engine.end(new MLSError("aborted", "Loading was aborted."));
    signal?.addEventListener("abort", abort, { once: true });
    try {
      const options = { crypto, snapshot, ...(distribution === undefined ? {} : { pyodide: distribution }) };
      const loaded = await engine.load(options, onprogress, (event) => federation.#onEvent(event));
      federation.#crypto = loaded.crypto;
      federation.#startedFrom = loaded.startedFrom;
      if (snapshot && loaded.startedFrom === "files") {
        federation.#giveUpSnapshot = makeSnapshotWhenIdle(from, distribution, (outcome) => federation.#onSnapshot(outcome));
      }
      return federation;
    } catch (error) {
      signal?.throwIfAborted();
      const failure = /** @type {MLSError} */ (error);
      engine.end(failure);
      throw failure.code === "worker-ended" ? new MLSError("load-failed", failure.message, failure.details) : failure;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /** What its cryptography runs on: `"pyca"` or `"webjs"`. It stays the same. @returns {CryptoProvider} */
  get crypto() {
    return this.#crypto;
  }

  /** What the interpreter was started from: `"files"`, or the `"snapshot"` that an earlier visit made. @returns {StartedFrom} */
  get startedFrom() {
    return this.#startedFrom;
  }

  /**
   * Keep what start-up loads in this browser, so that later visits start without a network (docs/startup.md).
   *
   * @param {object} [options]
   * @param {string} [options.script] address of `service-worker.js` as the site serves it: it controls the pages in its folder and below
   * @param {string[]} [options.also] addresses of files of the site that are kept too, such as the page itself
   * @returns {Promise<ServiceWorkerRegistration>} once everything is kept
   * @throws {MLSError} `no-service-worker`: this browser has none, as outside of a secure context, or refuses it (details: `reason`)
   */
  static async registerServiceWorker({ script = "/service-worker.js", also = [] } = {}) {
    try {
      return await keepForOffline(new URL(".", ownAddress).href, script, also);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const message = `The client cannot be kept for use without a network: ${reason}. It works with one as before.`;
      throw new MLSError("no-service-worker", message, { reason });
    }
  }

  /**
   * Say where the delivery service of a domain is, and check that it is the one of that domain.
   *
   * @param {string} domain such as `a.example`
   * @param {string} url base address of its Web API
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<DeliveryService>}
   * @throws {MLSError} `unreachable`, `wrong-domain`, `bad-argument`
   */
  setDeliveryService(domain, url, { signal } = {}) {
    return this.#engine.call("setDeliveryService", { domain, url }, signal);
  }

  /**
   * Make a client: its keys are made, registered with the delivery service of its domain, and its inbox is opened. It is kept in
   * this browser, to be opened again by `openClient`.
   *
   * @param {{ identity: string, fanout?: Fanout, keep?: boolean, signal?: AbortSignal }} options `identity`: an address,
   *   `name@domain`; `fanout`: who brings messages to other domains, by default the client itself; `keep: false`: it lasts as long
   *   as the page
   * @returns {Promise<Client>}
   * @throws {MLSError} `bad-argument`, `unknown-domain` without an earlier `setDeliveryService`; `not-admitted` if the identity has other
   *   devices (see `createDevice`); `account-exists`: this browser keeps a client of that identity; `unreachable`: call it again
   *   later, and it goes on with the same keys; `storage-refused`, `storage-failed`
   */
  async createClient({ identity, fanout, keep = true, signal }) {
    const params = { identity, ...(fanout === undefined ? {} : { fanout }), ...(keep ? { account: newAccount() } : {}) };
    return this.#known((client) => this.#engine.call("createClient", { client, ...params }, signal));
  }

  /**
   * Make a client that is to be one more device of an identity: another device admits it by its `deviceRequest()`, and then it
   * calls `register()`. Until then it has no keys that others could add it by, and receives nothing. It is kept, as by `createClient`.
   *
   * @param {{ identity: string, fanout?: Fanout, keep?: boolean, signal?: AbortSignal }} options as for `createClient`
   * @returns {Promise<Client>}
   * @throws {MLSError} `bad-identity`, `bad-argument`, `storage-refused`, `storage-failed`
   */
  async createDevice({ identity, fanout, keep = true, signal }) {
    const params = { identity, ...(fanout === undefined ? {} : { fanout }), ...(keep ? { account: newAccount() } : {}) };
    return this.#known((client) => this.#engine.call("createDevice", { client, ...params }, signal));
  }

  /**
   * The clients that are kept in this browser, for this origin.
   *
   * @returns {Promise<Account[]>}
   * @throws {MLSError} `storage-refused`, `storage-failed`, `unreadable-state`
   */
  accounts() {
    return this.#engine.call("accounts", {});
  }

  /**
   * Open a client that is kept here: with its groups, its place in its inbox, and what it had not handed over yet. If another tab
   * has it open, that one runs it, and this one sees and does all through it, until it goes.
   *
   * Messages of which it is not known that the page has taken them are told again: listen before you wait for anything else.
   *
   * @param {string} account as `accounts()` names it
   * @param {{ takeBack?: boolean, signal?: AbortSignal }} [options] `takeBack`: go on with what was exported; only if it was never
   *   imported, or two go on with the same keys
   * @returns {Promise<Client>} if it is not `registered`, call its `register()`
   * @throws {MLSError} `no-such-account`, `account-exported`, `already-open` in this page; `unknown-domain` without an earlier
   *   `setDeliveryService` for its domain; `unreadable-state`, `unknown-state-version`, `storage-refused`, `storage-failed`
   */
  async openClient(account, { takeBack = false, signal } = {}) {
    return this.#known((client) => this.#engine.call("openAccount", { client, account, takeBack }, signal));
  }

  /**
   * Keep here a client that was exported, in this browser or elsewhere. It is opened by `openClient`.
   *
   * @param {Uint8Array} data what `Client.exportAccount()` has given
   * @param {string} passphrase
   * @returns {Promise<Account>}
   * @throws {MLSError} `not-a-state`, `wrong-passphrase`, `unknown-state-version`, `account-exists`, `bad-argument`
   */
  async importAccount(data, passphrase) {
    const account = newAccount();
    await this.#engine.call("importAccount", { account, data, passphrase });
    const imported = (await this.accounts()).find((one) => one.account === account);
    if (imported === undefined) throw new MLSError("no-such-account", "The account was deleted just after it was imported.");
    return imported;
  }

  /**
   * Forget a client that is kept here, in all tabs, with all its keys. Its delivery service does not know: `revokeDevice` before,
   * unless it was exported.
   *
   * @param {string} account as `accounts()` names it
   * @returns {Promise<void>}
   * @throws {MLSError} `in-use`: a tab does not let go of it; `storage-failed`
   */
  async deleteAccount(account) {
    await this.#engine.call("deleteAccount", { account });
  }

  /**
   * Ask the browser not to drop what is kept when it needs space, or, in Safari, after seven days without a visit. Firefox asks the
   * person, so call it when they have just done something that makes it plain why.
   *
   * @returns {Promise<boolean>} whether it will not
   */
  async persist() {
    return (await navigator.storage?.persist?.()) ?? false;
  }

  /**
   * @param {(client: number) => Promise<OpenState>} make
   * @returns {Promise<Client>}
   */
  async #known(make) {
    const number = this.#nextClient++;
    this.#early.set(number, []);
    try {
      const client = new Client(this.#engine, await make(number), () => this.#clients.delete(number));
      this.#clients.set(number, client);
      // After the turn in which the page gets it, and listens.
      setTimeout(() => this.#tellEarly(number));
      return client;
    } catch (error) {
      this.#early.delete(number);
      throw error;
    }
  }

  /** @param {number} client */
  #tellEarly(client) {
    const waiting = this.#early.get(client) ?? [];
    this.#early.delete(client);
    for (const event of waiting) this.#onEvent(event);
  }

  /**
   * Verify files of RFC 9420's test vectors in this browser, on the provider that was loaded. The worker does nothing else
   * meanwhile: load another `MLSFederation` for it while clients are to receive.
   *
   * @param {Record<string, string | Uint8Array>} files the content of each, by any name
   * @param {{ onresult?: (result: SelfTestResult) => void, signal?: AbortSignal }} [options] `onresult`: called after each
   *   file; `signal`: ends the test after the file under way
   * @returns {Promise<SelfTestResult[]>} one for each file, in their order
   * @throws {MLSError} `bad-argument`; a file that holds no vectors is a result, with an `error`
   */
  async selfTest(files, { onresult = () => {}, signal } = {}) {
    /** @type {SelfTestResult[]} */
    const results = [];
    for (const [name, content] of Object.entries(files)) {
      if (typeof content !== "string" && !(content instanceof Uint8Array)) {
        throw new MLSError("bad-argument", "selfTest() takes an object of strings or Uint8Arrays.");
      }
      const data = typeof content === "string" ? new TextEncoder().encode(content) : content;
      const result = await this.#verify(name, data, signal);
      results.push(result);
      onresult(result);
    }
    return results;
  }

  /**
   * @param {string} name
   * @param {Uint8Array} data
   * @param {AbortSignal | undefined} signal
   * @returns {Promise<SelfTestResult>}
   */
  async #verify(name, data, signal) {
    try {
      return { name, ...(await this.#engine.call("verifyVectors", { data }, signal)) };
    } catch (error) {
      if (!(error instanceof MLSError) || error.code !== "bad-vector") throw error;
      return { name, error, family: "", passed: 0, failed: 0, skipped: 0, failures: [] };
    }
  }

  /**
   * What an encoded MLSMessage holds, field by field. Nothing of it is verified or decrypted: it is for people to look at.
   *
   * @param {Uint8Array} octets
   * @returns {Promise<DecodedPart>} the message; its fields are its `parts`
   * @throws {MLSError} `malformed` (details: `struct`, `field`, `offset`), `bad-argument`
   */
  decode(octets) {
    return this.#engine.call("decode", { data: octets });
  }

  /**
   * The ratchet tree of an encoded MLSMessage with a GroupInfo, or of the data of a `ratchet_tree` extension. Nothing of it is verified.
   *
   * @param {Uint8Array} octets
   * @returns {Promise<RatchetTree>}
   * @throws {MLSError} `malformed`, `malformed-tree`, `no-ratchet-tree`, `bad-argument`
   */
  ratchetTree(octets) {
    return this.#engine.call("ratchetTree", { data: octets });
  }

  /**
   * For our other modules.
   *
   * @internal
   * @template {keyof AllRequests} Method
   * @param {Method} method
   * @param {AllRequests[Method]["params"]} params
   * @returns {Promise<AllRequests[Method]["result"]>}
   */
  [request](method, params) {
    return this.#engine.call(method, params);
  }

  /** End the worker. Calls under way fail with `disposed`. */
  dispose() {
    this.#giveUpSnapshot();
    this.#engine.end(new MLSError("disposed", "This MLSFederation was disposed of; load a new one."));
    this.#clients.clear();
  }

  /** @param {SnapshotOutcome} outcome */
  #onSnapshot(outcome) {
    this.dispatchEvent(new CustomEvent("snapshot", { detail: outcome }));
  }

  /** @param {EventMessage} event */
  #onEvent(event) {
    const early = this.#early.get(event.detail.client);
    if (early !== undefined) early.push(event);
    else this.#clients.get(event.detail.client)?.[receive](event);
  }

  /** @param {MLSError} error */
  #onEnd(error) {
    this.dispatchEvent(new CustomEvent("error", { detail: error }));
  }
}

const newAccount = () => crypto.randomUUID();
