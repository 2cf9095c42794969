/**
 * A group, and what its members send.
 *
 * @import { Engine } from "./engine.js"
 * @import { GroupChange, GroupDetails, SentMessage, SFrameKeys, SrtpKeys, SrtpProfile } from "./protocol.js"
 */
import { MLSError } from "./errors.js";

/**
 * A group, as one client sees it.
 *
 * Events, all `CustomEvent`s: `message` (detail: `{ sender, senderLeaf, epoch, data, text }`; `text` is undefined where
 * `data` is not UTF-8), `epoch` (detail: what `details()` returns), `removed`, `lost`
 * (the group has gone on without the client), `unsent` (detail: `{ data, text }`, sent on a branch that lost), `error` (detail: `MLSError`).
 */
export class Group extends EventTarget {
  #engine;
  #client;
  #id;

  /**
   * @internal pages call `Client.createGroup()`, or are told of a group by an event
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
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<GroupChange>} of the new epoch
   * @throws {MLSError} as `Client.fetchKeyBundles`; `no-common-cipher-suite`, `already-member`
   */
  add(identity, { signal } = {}) {
    return this.#engine.call("addMember", { ...this.#params(), identity }, signal);
  }

  /**
   * Remove every client of an identity; it can read nothing of the new epoch.
   *
   * @param {string} identity an address, `name@domain`
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<GroupChange>} of the new epoch
   * @throws {MLSError} `not-a-member`
   */
  remove(identity, { signal } = {}) {
    return this.#engine.call("removeMember", { ...this.#params(), identity }, signal);
  }

  /**
   * Remove one device of an identity, such as one that was revoked.
   *
   * @param {string} identity an address, `name@domain`
   * @param {Uint8Array} clientId
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<GroupChange>} of the new epoch
   * @throws {MLSError} `not-a-member`, `not-a-device`, `cannot-remove-self`
   */
  removeDevice(identity, clientId, { signal } = {}) {
    return this.#engine.call("removeDevice", { ...this.#params(), identity, clientId }, signal);
  }

  /**
   * Renew this client's keys, and with them the group's.
   *
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<GroupChange>} of the new epoch
   */
  update({ signal } = {}) {
    return this.#engine.call("updateGroup", this.#params(), signal);
  }

  /**
   * Send an application message to every other member.
   *
   * @param {string | Uint8Array} content text is sent as UTF-8
   * @param {{ signal?: AbortSignal }} [options] `signal`: gives up waiting; a message that is made goes out all the same
   * @returns {Promise<SentMessage>} what became of it for each recipient
   * @throws {MLSError} `unreachable`, `too-large`, `bad-argument`
   */
  async send(content, { signal } = {}) {
    if (typeof content !== "string" && !(content instanceof Uint8Array)) {
      throw new MLSError("bad-argument", "send() takes a string or a Uint8Array.");
    }
    const data = typeof content === "string" ? new TextEncoder().encode(content) : content;
    return this.#engine.call("sendMessage", { ...this.#params(), data }, signal);
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
   * What all members protect their media frames with in this epoch (RFC 9605 §5.2); keep it secret. `sframe.js` and `media-keys.js`
   * use it.
   *
   * @returns {Promise<SFrameKeys>}
   */
  exportSFrameKeys() {
    return this.#engine.call("exportSFrameKeys", this.#params());
  }

  /**
   * The ratchet tree of this epoch, of public keys alone: the data of the extension `ratchet_tree` (RFC 9420 §12.4.3.3).
   * `MLSFederation.ratchetTree` says what is in it.
   *
   * @returns {Promise<Uint8Array>}
   */
  exportRatchetTree() {
    return this.#engine.call("exportRatchetTree", this.#params());
  }

  /**
   * A context for the key ids of this client's own frames. It is given once, whatever becomes of the page; so a `FrameSender` that has
   * one of its own counts from 0.
   *
   * @returns {Promise<bigint>}
   * @throws {MLSError} `storage-failed`
   */
  reserveSFrameContext() {
    return this.#engine.call("reserveSFrameContext", this.#params());
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
