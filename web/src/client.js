/**
 * A client, and what it is told.
 *
 * @import { Engine } from "./engine.js"
 * @import { Delivery, Device, EventMessage, Events, Fanout, KeyBundle, OpenState } from "./protocol.js"
 */
import { MLSError } from "./errors.js";
import { Group } from "./group.js";
import { receive } from "./internal.js";

/** What calls fail with once there is no client to call. */
const ENDED = new Set(["closed", "disposed", "suspended", "worker-ended"]);

/** @param {Uint8Array} octets */
const hex = (octets) => Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");

/**
 * A message that has arrived. A page that keeps messages says so by `waitUntil`: if its tab ends before they are kept, they are told
 * again when the client is opened next, with the same `detail.number`.
 *
 * @extends {CustomEvent<object>}
 */
class ReceivedEvent extends CustomEvent {
  #waits;

  /**
   * @param {object} detail
   * @param {Promise<unknown>[]} waits
   */
  constructor(detail, waits) {
    super("message", { detail });
    this.#waits = waits;
  }

  /**
   * The message is taken only when this promise has resolved; if it rejects, this one and all later ones are told again next time.
   *
   * @param {Promise<unknown>} promise
   */
  waitUntil(promise) {
    this.#waits.push(promise);
  }
}

/**
 * One client (device) of an identity.
 *
 * Events, all `CustomEvent`s: `group` (detail: `{ group }`, joined by a Welcome), `message`, `epoch`, `removed`, `lost`, `unsent` (as on
 * `Group`, with `group` in the detail), `connection` (detail: `{ state }`), `lead` (it runs in this tab from now on), `closed`
 * (detail: `{ reason }`, `"exported"` or `"deleted"`, here or in another tab), `undelivered` (detail: `{ messageId, identity,
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
  /** The number of the last message that was dispatched. */
  #last = 0;
  /** Whether the page has taken all messages so far, once it is known. */
  #taken = Promise.resolve(true);

  /**
   * @internal pages call `MLSFederation.createClient()`
   * @param {Engine} engine
   * @param {OpenState} state
   * @param {() => void} onclose
   */
  constructor(engine, state, onclose) {
    super();
    this.#engine = engine;
    this.#state = state;
    this.#onclose = onclose;
    for (const groupId of state.groups) this.#group(groupId);
  }

  /** By which name it is kept in this browser, for `openClient`; undefined: it lasts as long as the page. */
  get account() {
    return this.#state.account;
  }

  /** Whether its delivery service has keys of it; if not, call `register()`. */
  get registered() {
    return this.#state.registered;
  }

  /** Whether it runs in this tab; another tab of this origin runs it if not. */
  get leads() {
    return this.#state.leads ?? true;
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
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<void>}
   * @throws {MLSError} `unknown-domain`, `unreachable` among others: it does not say who it is, and nothing is forgotten
   */
  async clearLogFault(domain, { signal } = {}) {
    await this.#engine.call("clearLogFault", { client: this.#state.client, domain }, signal);
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
    this.#state.registered = true;
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
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<Delivery[]>} what became of it
   */
  flush({ signal } = {}) {
    return this.#engine.call("flush", { client: this.#state.client }, signal);
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

  /**
   * Close it in this page. If it is kept, another tab that has it open goes on with it; if not, its keys are forgotten.
   *
   * @returns {Promise<void>}
   */
  async close() {
    await this.#engine.call("closeClient", { client: this.#state.client });
    this.#onclose();
  }

  /**
   * Take the client out of this browser, to go on in another, or in a program: everything it has, sealed under a passphrase. It is
   * closed in all tabs, since only one may go on with its keys; what is left here is to be deleted when the other has it.
   *
   * @param {string} passphrase a long one: whoever has the file can try as many as they like
   * @returns {Promise<Uint8Array>} for `MLSFederation.importAccount`, or `mls_federation.io.import_account`
   * @throws {MLSError} `bad-argument`: the passphrase is empty
   */
  async exportAccount(passphrase) {
    const exported = await this.#engine.call("exportAccount", { client: this.#state.client, passphrase });
    // Of one that is kept, the event `closed` tells every tab, this one too.
    if (this.account === undefined) this.#onclose();
    return exported;
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

  /**
   * @internal
   * @param {EventMessage} event
   */
  [receive](event) {
    switch (event.name) {
      case "connection":
        this.#dispatch(this, "connection", { state: event.detail.state });
        break;
      case "lead":
        this.#state.leads = true;
        this.#dispatch(this, "lead", {});
        break;
      case "closed":
        this.#onclose();
        this.#dispatch(this, "closed", { reason: event.detail.reason });
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
      case "lost":
        this.#both(this.#group(event.detail.groupId), "lost", {});
        break;
      case "unsent": {
        const { groupId, data } = event.detail;
        this.#both(this.#group(groupId), "unsent", { data, text: decodeText(data) });
        break;
      }
      case "epoch":
        this.#both(this.#group(event.detail.groupId), "epoch", event.detail.details);
        break;
      case "message": {
        this.#take(event.detail);
        break;
      }
    }
  }

  /** @param {Events["message"]} message */
  #take({ groupId, sender, senderLeaf, epoch, data, number, via }) {
    // Whoever takes over from another tab tells again what that one may not have told.
    if (number <= this.#last) return;
    this.#last = number;
    const group = this.#group(groupId);
    const detail = { sender, senderLeaf, epoch, data, number, via, text: decodeText(data) };
    /** @type {Promise<unknown>[]} */
    const waits = [];
    group.dispatchEvent(new ReceivedEvent(detail, waits));
    this.dispatchEvent(new ReceivedEvent({ ...detail, group }, waits));
    this.#taken = this.#taken.then((taken) => taken && this.#confirm(number, waits));
  }

  /**
   * @param {number} number
   * @param {Promise<unknown>[]} waits
   * @returns {Promise<boolean>}
   */
  async #confirm(number, waits) {
    try {
      await Promise.all(waits);
      await this.#engine.call("told", { client: this.#state.client, number });
      return true;
    } catch (error) {
      // A client may be closed before it hears of its last messages.
      if (!(error instanceof MLSError) || !ENDED.has(error.code)) reportError(error);
      return false;
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
