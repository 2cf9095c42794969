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
 *   CryptoChoice, Delivery, DeliveryService, Device, EventMessage, Fanout, Fault, GroupChange, GroupDetails, KeyBundle, Progress,
 *   Reply, Requests, SentMessage, SrtpKeys, SrtpProfile, VectorResult, WorkerInterface,
 * } from "./protocol.js"
 */
import { proxy, wrap } from "./vendor/comlink.js";

/** Anything that went wrong. `code` is for programs and stays the same, `message` is for people. */
export class MLSError extends Error {
  /**
   * @param {string} code stable, kebab-case; docs/web-api.md lists them
   * @param {string} message in words that a person can act on
   * @param {Record<string, unknown>} [details] what else is known, by code
   */
  constructor(code, message, details = {}) {
    super(message);
    this.name = "MLSError";
    this.code = code;
    this.details = details;
  }
}

/**
 * What came of one file of test vectors. With `error`, code `bad-vector`, it holds none.
 *
 * @typedef {{ name: string, error?: MLSError } & VectorResult} SelfTestResult
 */

/** @param {Fault} fault */
const toError = ({ code, message, details }) => new MLSError(code, message, details);

/** @param {Uint8Array} octets */
const hex = (octets) => Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");

/** The worker, and the calls that wait for it. */
class Engine {
  #worker;
  #remote;
  #nextCall = 1;
  /** @type {Set<(error: MLSError) => void>} */
  #pending = new Set();
  /** @type {MLSError | undefined} */
  #ended;
  #onend;

  /** @param {(error: MLSError) => void} onend called once, if the worker ends by itself */
  constructor(onend) {
    this.#onend = onend;
    this.#worker = new Worker(new URL("worker.js", import.meta.url), { type: "module", name: "mls-federation" });
    this.#remote = /** @type {import("comlink").Remote<WorkerInterface>} */ (wrap(this.#worker));
    // After an error that nothing caught, the state of the engine is unknown: better no engine than that one.
    this.#worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.#fail(event.message || "its script could not be loaded");
    });
    this.#worker.addEventListener("messageerror", () => this.#fail("it sent something that cannot be read"));
  }

  /**
   * @param {CryptoChoice} crypto
   * @param {(progress: Progress) => void} onprogress
   * @param {(event: EventMessage) => void} onevent
   */
  async load(crypto, onprogress, onevent) {
    const base = new URL(".", import.meta.url).href;
    return this.#answer(this.#remote.load({ crypto, base }, proxy(onprogress), proxy(onevent)));
  }

  /**
   * @template {keyof Requests} Method
   * @param {Method} method
   * @param {Requests[Method]["params"]} params
   * @param {AbortSignal} [signal]
   * @returns {Promise<Requests[Method]["result"]>}
   */
  async call(method, params, signal) {
    signal?.throwIfAborted();
    const id = this.#nextCall++;
    // A signal cannot cross to the worker; its cancellation can.
    const cancel = () => void this.#remote.cancel(id);
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      return /** @type {Requests[Method]["result"]} */ (await this.#answer(this.#remote.call(id, method, params)));
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener("abort", cancel);
    }
  }

  /** @param {MLSError} reason what calls that are under way, and later ones, are told */
  end(reason) {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    this.#worker.terminate();
    for (const reject of this.#pending) reject(reason);
    this.#pending.clear();
  }

  /** @param {string} reason */
  #fail(reason) {
    if (this.#ended !== undefined) return;
    const error = new MLSError("worker-ended", `The MLS worker has ended: ${reason}. Reload the page.`, { reason });
    this.end(error);
    this.#onend(error);
  }

  /**
   * @param {Promise<Reply>} reply
   * @returns {Promise<unknown>}
   */
  async #answer(reply) {
    if (this.#ended !== undefined) throw this.#ended;
    /** @type {(error: MLSError) => void} */
    let reject = () => {};
    const ended = new Promise((_, rejectEnded) => this.#pending.add((reject = rejectEnded)));
    try {
      const settled = /** @type {Reply} */ (await Promise.race([reply, ended]));
      if (settled.ok) return settled.value;
      throw toError(settled.fault);
    } catch (error) {
      if (error instanceof MLSError) throw error;
      if (error instanceof DOMException && error.name === "DataCloneError") {
        throw new MLSError("bad-argument", `An argument cannot be sent to the worker: ${error.message}`);
      }
      throw new MLSError("internal-error", `The MLS worker failed: ${error}. Reload the page.`);
    } finally {
      this.#pending.delete(reject);
    }
  }
}

/**
 * The client's engine, loaded into a worker of its own.
 *
 * Events: `error` (detail: `MLSError`) when the worker ends by itself; after it every call fails with `worker-ended`.
 */
export class MLSFederation extends EventTarget {
  #engine;
  /** @type {Map<number, Client>} */
  #clients = new Map();
  /** @type {Set<number>} */
  #closed = new Set();
  /** @type {EventMessage[]} what arrived before the page knew the client that it is for */
  #early = [];

  /** @param {Engine} engine */
  constructor(engine) {
    super();
    this.#engine = engine;
  }

  /**
   * Load Pyodide and the client. One engine serves a page; several clients may share it.
   *
   * @param {object} [options]
   * @param {CryptoChoice} [options.crypto] `auto` (default) takes `pyca` where the page serves its wheel, else `webjs`
   * @param {(progress: Progress) => void} [options.onprogress] called as files arrive
   * @param {AbortSignal} [options.signal] ends the loading
   * @returns {Promise<MLSFederation>}
   * @throws {MLSError} `load-failed` (details: `file`, `reason`), `bad-argument`, `no-cryptography`
   */
  static async load({ crypto = "auto", onprogress = () => {}, signal } = {}) {
    signal?.throwIfAborted();
    /** @type {MLSFederation} */
    let federation;
    const engine = new Engine((error) => federation.#onEnd(error));
    federation = new MLSFederation(engine);
    const abort = () => engine.end(new MLSError("aborted", "Loading was aborted."));
    signal?.addEventListener("abort", abort, { once: true });
    try {
      await engine.load(crypto, onprogress, (event) => federation.#onEvent(event));
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
   * Make a client: its keys are made, registered with the delivery service of its domain, and its inbox is opened.
   *
   * @param {{ identity: string, fanout?: Fanout, signal?: AbortSignal }} options `identity`: an address, `name@domain`;
   *   `fanout`: who brings messages to other domains, by default the client itself
   * @returns {Promise<Client>}
   * @throws {MLSError} `bad-argument`, `unknown-domain` without an earlier `setDeliveryService`; `not-admitted` if the identity has other
   *   devices (see `createDevice`); `unreachable`
   */
  async createClient({ identity, fanout, signal }) {
    const params = { identity, ...(fanout === undefined ? {} : { fanout }) };
    return this.#known(await this.#engine.call("createClient", params, signal));
  }

  /**
   * Make a client that is to be one more device of an identity: another device admits it by its `deviceRequest()`, and then it
   * calls `register()`. Until then it has no keys that others could add it by, and receives nothing.
   *
   * @param {{ identity: string, fanout?: Fanout, signal?: AbortSignal }} options as for `createClient`
   * @returns {Promise<Client>}
   * @throws {MLSError} `bad-identity`, `bad-argument`
   */
  async createDevice({ identity, fanout, signal }) {
    const params = { identity, ...(fanout === undefined ? {} : { fanout }) };
    return this.#known(await this.#engine.call("createDevice", params, signal));
  }

  /**
   * @param {import("./protocol.js").ClientState} state
   * @returns {Client}
   */
  #known(state) {
    const client = new Client(this.#engine, state, () => {
      this.#clients.delete(state.client);
      this.#closed.add(state.client);
    });
    this.#clients.set(state.client, client);
    const waiting = this.#early;
    this.#early = [];
    for (const event of waiting) this.#onEvent(event);
    return client;
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

  /** End the worker. Calls under way fail with `disposed`. */
  dispose() {
    this.#engine.end(new MLSError("disposed", "This MLSFederation was disposed of; load a new one."));
    this.#clients.clear();
  }

  /** @param {EventMessage} event */
  #onEvent(event) {
    const client = this.#clients.get(event.detail.client);
    if (client !== undefined) client[receive](event);
    else if (!this.#closed.has(event.detail.client)) this.#early.push(event);
  }

  /** @param {MLSError} error */
  #onEnd(error) {
    this.dispatchEvent(new CustomEvent("error", { detail: error }));
  }
}

/** Keeps the delivery of events out of the classes' public names. */
const receive = Symbol("receive");

/**
 * One client (device) of an identity.
 *
 * Events, all `CustomEvent`s: `group` (detail: `{ group }`, joined by a Welcome), `message`, `epoch`, `removed` (as on
 * `Group`, with `group` in the detail), `connection` (detail: `{ state }`), `undelivered` (detail: `{ messageId, identity,
 * reason }`), `devices` (detail: `{ admitted, revoked }`, of the identity's devices, that this one did not know of), `error`
 * (detail: `MLSError`, about something that arrived and was refused, or that it does by itself and failed; `details.groupId` and
 * `details.group` where known).
 */
export class Client extends EventTarget {
  #engine;
  #state;
  #onclose;
  /** @type {Map<string, Group>} */
  #groups = new Map();

  /**
   * @param {Engine} engine
   * @param {import("./protocol.js").ClientState} state
   * @param {() => void} onclose
   */
  constructor(engine, state, onclose) {
    super();
    this.#engine = engine;
    this.#state = state;
    this.#onclose = onclose;
  }

  /** Its address, `name@domain`. */
  get identity() {
    return this.#state.identity;
  }

  /** SHA-256 of its identity key, lower-case hexadecimal. Each device of an identity has its own. */
  get fingerprint() {
    return this.#state.fingerprint;
  }

  /** Names it among the devices of its identity; a copy. */
  get clientId() {
    return this.#state.clientId.slice();
  }

  /** Who brings its messages to other domains: `"client"` or `"server"`. */
  get fanout() {
    return this.#state.fanout;
  }

  /**
   * Say who brings this client's messages to the delivery services of their recipients, from now on, and asks those for keys: the
   * client itself, or its own service, which is then the only one that it talks to.
   *
   * @param {Fanout} fanout
   * @returns {Promise<void>}
   * @throws {MLSError} `bad-argument`
   */
  async setFanout(fanout) {
    await this.#engine.call("setFanout", { client: this.#state.client, fanout });
    this.#state.fanout = fanout;
  }

  /**
   * Trust the delivery service of a domain again, after an `error` with `details.domain` said that it was found to be dishonest:
   * its key, its log and its identities' devices are taken as it shows them next.
   *
   * @param {string} domain
   * @returns {Promise<void>}
   * @throws {MLSError} `unknown-domain`, `unreachable` among others: it does not say who it is, and nothing is forgotten
   */
  async clearLogFault(domain) {
    await this.#engine.call("clearLogFault", { client: this.#state.client, domain });
  }

  /** The groups that it is in. */
  get groups() {
    return [...this.#groups.values()];
  }

  /**
   * Fetch the keys of another client from its delivery service: one bundle for each of the identity's clients.
   * What is returned was verified: signature, identity, suites and KeyPackages.
   *
   * @param {string} identity an address, `name@domain`
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<KeyBundle[]>}
   * @throws {MLSError} `unknown-identity`, `unknown-domain`, `unreachable`, and one code for each way in which a bundle
   *   can be wrong
   */
  fetchKeyBundles(identity, { signal } = {}) {
    return this.#engine.call("fetchKeyBundles", { client: this.#state.client, identity }, signal);
  }

  /**
   * Register a client that `createDevice` made, once a device of its identity has admitted it.
   *
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<void>}
   * @throws {MLSError} `not-admitted`: not yet; `device-revoked`; `unknown-domain`, `unreachable`
   */
  async register({ signal } = {}) {
    await this.#engine.call("register", { client: this.#state.client }, signal);
  }

  /**
   * What another device of the identity needs to admit this one: a text without secrets, to be shown as a QR code, or sent.
   *
   * @returns {Promise<string>}
   */
  deviceRequest() {
    return this.#engine.call("deviceRequest", { client: this.#state.client });
  }

  /**
   * Admit the device that a request is from. Whoever is admitted can speak for the identity: be sure that it is one's own.
   *
   * @param {string} request what `deviceRequest()` gave there
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<Uint8Array>} the device's `clientId`
   * @throws {MLSError} `bad-device-request`, `bad-signature`; `wrong-identity`: it is for another identity; `too-many-clients`,
   *   `revoked-device`, `not-a-device`, `unreachable`
   */
  admitDevice(request, { signal } = {}) {
    return this.#engine.call("admitDevice", { client: this.#state.client, request }, signal);
  }

  /**
   * The devices that the identity has, in the order in which they came, and then those that it had.
   *
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<Device[]>}
   */
  devices({ signal } = {}) {
    return this.#engine.call("devices", { client: this.#state.client }, signal);
  }

  /**
   * Revoke a device of the identity: it can speak for it no more, and gets no more messages.
   *
   * @param {Uint8Array} clientId
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<Group[]>} the groups of this client that it is still a member of: see `Group.removeDevice`
   * @throws {MLSError} `not-a-device`, `last-device`, `unreachable`
   */
  async revokeDevice(clientId, { signal } = {}) {
    const left = await this.#engine.call("revokeDevice", { client: this.#state.client, clientId }, signal);
    return left.map((groupId) => this.#group(groupId));
  }

  /**
   * Hand over now what waits, because a delivery service was not reached or had no room. The client tries again by itself.
   *
   * @returns {Promise<Delivery[]>} what became of it
   */
  flush() {
    return this.#engine.call("flush", { client: this.#state.client });
  }

  /**
   * Start a group with this client as its only member.
   *
   * @param {{ cipherSuite?: number, groupId?: Uint8Array, ordering?: "service" | "members" }} [options] by default suite 1,
   *   a random id, and commits that our delivery service puts in order
   * @returns {Promise<Group>}
   * @throws {MLSError} `bad-argument`, `unsupported`, `bad-state` if there is a group of that id
   */
  async createGroup({ cipherSuite, groupId, ordering } = {}) {
    const details = await this.#engine.call("createGroup", {
      client: this.#state.client,
      ...(cipherSuite === undefined ? {} : { cipherSuite }),
      ...(groupId === undefined ? {} : { groupId }),
      ...(ordering === undefined ? {} : { ordering }),
    });
    return this.#group(details.groupId);
  }

  /** Close the inbox and forget every key of this client. */
  async close() {
    await this.#engine.call("closeClient", { client: this.#state.client });
    this.#onclose();
  }

  /**
   * @param {Uint8Array} groupId
   * @returns {Group}
   */
  #group(groupId) {
    const key = hex(groupId);
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = new Group(this.#engine, this.#state.client, groupId);
      this.#groups.set(key, group);
    }
    return group;
  }

  /** @param {EventMessage} event */
  [receive](event) {
    switch (event.name) {
      case "connection":
        this.#dispatch(this, "connection", { state: event.detail.state });
        break;
      case "undelivered": {
        const { messageId, identity, reason } = event.detail;
        this.#dispatch(this, "undelivered", { messageId, identity, reason });
        break;
      }
      case "devices": {
        const { admitted, revoked } = event.detail;
        this.#dispatch(this, "devices", { admitted, revoked });
        break;
      }
      case "error": {
        const { fault, groupId } = event.detail;
        const group = groupId && this.#groups.get(hex(groupId));
        const about = { ...(groupId ? { groupId } : {}), ...(group ? { group } : {}) };
        const error = new MLSError(fault.code, fault.message, { ...fault.details, ...about });
        if (group) this.#dispatch(group, "error", error);
        this.#dispatch(this, "error", error);
        break;
      }
      case "group": {
        const group = this.#group(event.detail.groupId);
        this.#dispatch(this, "group", { group, details: event.detail.details });
        break;
      }
      case "removed": {
        const group = this.#group(event.detail.groupId);
        this.#groups.delete(hex(event.detail.groupId));
        this.#both(group, "removed", {});
        break;
      }
      case "epoch":
        this.#both(this.#group(event.detail.groupId), "epoch", event.detail.details);
        break;
      case "message": {
        const { groupId, sender, senderLeaf, epoch, data, via } = event.detail;
        this.#both(this.#group(groupId), "message", { sender, senderLeaf, epoch, data, via, text: decodeText(data) });
        break;
      }
    }
  }

  /**
   * @param {Group} group
   * @param {string} name
   * @param {object} detail
   */
  #both(group, name, detail) {
    this.#dispatch(group, name, detail);
    this.#dispatch(this, name, { ...detail, group });
  }

  /**
   * @param {EventTarget} target
   * @param {string} name
   * @param {unknown} detail
   */
  #dispatch(target, name, detail) {
    target.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/**
 * A group, as one client sees it.
 *
 * Events, all `CustomEvent`s: `message` (detail: `{ sender, senderLeaf, epoch, data, text }`; `text` is undefined where
 * `data` is not UTF-8), `epoch` (detail: what `details()` returns), `removed`, `error` (detail: `MLSError`).
 */
export class Group extends EventTarget {
  #engine;
  #client;
  #id;

  /**
   * @param {Engine} engine
   * @param {number} client
   * @param {Uint8Array} id
   */
  constructor(engine, client, id) {
    super();
    this.#engine = engine;
    this.#client = client;
    this.#id = id;
  }

  /** The group's id; a copy. */
  get id() {
    return this.#id.slice();
  }

  /** How it stands: id, epoch, suite, safety number, members. @returns {Promise<GroupDetails>} */
  details() {
    return this.#engine.call("groupDetails", this.#params());
  }

  /**
   * Add every client of an identity that is not in the group: their keys are fetched and verified, and the group moves to its next epoch.
   *
   * @param {string} identity an address, `name@domain`
   * @returns {Promise<GroupChange>} of the new epoch
   * @throws {MLSError} as `Client.fetchKeyBundles`; `no-common-cipher-suite`, `already-member`
   */
  add(identity) {
    return this.#engine.call("addMember", { ...this.#params(), identity });
  }

  /**
   * Remove every client of an identity; it can read nothing of the new epoch.
   *
   * @param {string} identity an address, `name@domain`
   * @returns {Promise<GroupChange>} of the new epoch
   * @throws {MLSError} `not-a-member`
   */
  remove(identity) {
    return this.#engine.call("removeMember", { ...this.#params(), identity });
  }

  /**
   * Remove one device of an identity, such as one that was revoked.
   *
   * @param {string} identity an address, `name@domain`
   * @param {Uint8Array} clientId
   * @returns {Promise<GroupChange>} of the new epoch
   * @throws {MLSError} `not-a-member`, `not-a-device`, `cannot-remove-self`
   */
  removeDevice(identity, clientId) {
    return this.#engine.call("removeDevice", { ...this.#params(), identity, clientId });
  }

  /** Renew this client's keys, and with them the group's. @returns {Promise<GroupChange>} of the new epoch */
  update() {
    return this.#engine.call("updateGroup", this.#params());
  }

  /**
   * Send an application message to every other member.
   *
   * @param {string | Uint8Array} content text is sent as UTF-8
   * @returns {Promise<SentMessage>} what became of it for each recipient
   * @throws {MLSError} `unreachable`, `too-large`, `bad-argument`
   */
  async send(content) {
    if (typeof content !== "string" && !(content instanceof Uint8Array)) {
      throw new MLSError("bad-argument", "send() takes a string or a Uint8Array.");
    }
    const data = typeof content === "string" ? new TextEncoder().encode(content) : content;
    return this.#engine.call("sendMessage", { ...this.#params(), data });
  }

  /**
   * The SRTP master key and salt of each sender in this epoch. They are the same at every member; keep them secret.
   *
   * @param {{ profile: SrtpProfile }} options
   * @returns {Promise<SrtpKeys[]>}
   * @throws {MLSError} `bad-argument` for an unknown profile
   */
  exportSrtpKeys({ profile }) {
    return this.#engine.call("exportSrtpKeys", { ...this.#params(), profile });
  }

  /**
   * A secret of this epoch for another protocol (RFC 9420 §8.5).
   *
   * @param {string} label what it is for: ASCII, not empty, not beginning with `MLS Federation `
   * @param {Uint8Array} context
   * @param {number} length octets wanted, at least 1
   * @returns {Promise<Uint8Array>}
   */
  exportSecret(label, context, length) {
    return this.#engine.call("exportSecret", { ...this.#params(), label, context, length });
  }

  #params() {
    return { client: this.#client, groupId: this.#id };
  }
}

/**
 * @param {Uint8Array} data
 * @returns {string | undefined}
 */
function decodeText(data) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    return undefined;
  }
}
