/**
 * Frames of a call under SFrame (RFC 9605): which octets stay clear, by which key a frame is encrypted, and whose keys may decrypt it.
 *
 * On the wire: `clear || SFrame`, where the metadata that SFrame authenticates is `clear`.
 *
 * @import { EpochKeys } from "./call-protocol.js"
 * @import { CounterRange, MediaKind, SendingKey } from "./call-types.js"
 * @import { SFrameKey } from "./sframe.js"
 */
import { MLSError } from "./errors.js";
import { keyIdOf } from "./media-keys.js";
import { FrameReceiver, FrameSender, decodeHeader, deriveKey } from "./sframe.js";

/** How many epochs a key id tells apart (RFC 9605 §5.2, E = 8). */
const EPOCH_BITS = 8n;
const EPOCH_MASK = (1n << EPOCH_BITS) - 1n;
/** One counter serves all streams of a sender, so what comes on one of its connections has gaps, and sound overtakes video. */
const REPLAY_WINDOW = 8192;
/** Key ids of one connection for which keys are derived before a frame of it was authentic. */
const UNPROVEN_KEYS = 4;

/** Which formats can be encrypted: what a packetiser reads of others is not known here. */
export const FORMATS = Object.freeze({ audio: "audio/opus", video: "video/vp8" });

/**
 * How many octets of a frame stay clear: those that a packetiser reads.
 *
 * @param {MediaKind} media
 * @param {Uint8Array} frame
 * @returns {number}
 * @throws {MLSError} `bad-frame`: it has fewer
 */
export function clearSize(media, frame) {
  // RFC 6386 §9.1: a key frame of VP8 begins with a frame tag of 3 octets, a start code and the size, another with the tag alone.
  const size = media === "audio" ? 1 : ((frame[0] ?? 0) & 1) === 0 ? 10 : 3;
  if (frame.length < size) throw new MLSError("bad-frame", "The frame is shorter than its header.");
  return size;
}

/**
 * @param {Uint8Array} first
 * @param {Uint8Array} second
 * @returns {Uint8Array<ArrayBuffer>}
 */
function joined(first, second) {
  const all = new Uint8Array(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
}

/**
 * @param {Uint8Array} first
 * @param {Uint8Array} second
 */
const equal = (first, second) => first.length === second.length && first.every((octet, index) => octet === second[index]);

/**
 * Names a base key without telling it.
 *
 * @param {Uint8Array} baseKey
 */
async function digestOf(baseKey) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(baseKey)));
  return Array.from(digest, (octet) => octet.toString(16).padStart(2, "0")).join("");
}

/** @typedef {{ key: SendingKey, sender: FrameSender, first: bigint, erased: boolean }} OwnKey */

/** Encrypts our own frames: all streams of a call share it, so that no number of a key is used twice. */
export class OwnFrames {
  /** @type {Map<string, OwnKey>} by key id and digest of their base key */
  #senders = new Map();
  /** @type {OwnKey | undefined} */
  #current;
  /** @type {Map<string, CounterRange>} how far keys were used that are erased */
  #spent = new Map();

  /**
   * Make our own key of an epoch.
   *
   * @param {EpochKeys} keys
   * @returns {Promise<() => SendingKey | undefined>} call it to encrypt under that key from then on; it returns the key, unless it is
   *   erased by then or in use
   */
  async add(keys) {
    const { epoch, cipherSuite, baseKey, leafIndex, context } = keys;
    const keyId = keyIdOf(keys, leafIndex, context);
    const [name, sframeKey] = await Promise.all([digestOf(baseKey), deriveKey({ cipherSuite, baseKey, keyId })]);
    const id = `${keyId} ${name}`;
    const known = this.#senders.get(id);
    if (known !== undefined) known.erased = false;
    else {
      // A group can come back to a branch that it had left: the same key goes on where it was.
      const first = this.#spent.get(id)?.next ?? 0n;
      this.#senders.set(id, { key: { epoch, keyId }, sender: new FrameSender(sframeKey, first), first, erased: false });
    }
    return () => {
      const next = this.#senders.get(id);
      if (next === undefined || next === this.#current) return undefined;
      this.#current = next;
      this.#forget();
      return next.key;
    };
  }

  /**
   * Forget the key of an epoch; the one that is in use, as soon as another is.
   *
   * @param {bigint} epoch
   */
  erase(epoch) {
    for (const one of this.#senders.values()) if (one.key.epoch === epoch) one.erased = true;
    this.#forget();
  }

  #forget() {
    for (const [id, one] of this.#senders) {
      if (!one.erased || one === this.#current) continue;
      this.#spent.set(id, rangeOf(one));
      this.#senders.delete(id);
    }
  }

  /**
   * @param {MediaKind} media
   * @param {Uint8Array} frame
   * @returns {Promise<Uint8Array<ArrayBuffer>>}
   * @throws {MLSError} `no-keys`: there are none yet; `bad-frame`
   */
  async protect(media, frame) {
    if (this.#current === undefined) throw new MLSError("no-keys", "There are no keys to encrypt frames with yet.");
    const size = clearSize(media, frame);
    const { sender } = this.#current;
    return sender.protectBehind(frame.subarray(0, size), frame.subarray(size));
  }

  /** How far each key was used. @returns {CounterRange[]} */
  get counters() {
    return [...this.#spent.values(), ...[...this.#senders.values()].map(rangeOf)];
  }
}

/**
 * @param {OwnKey} one
 * @returns {CounterRange}
 */
const rangeOf = ({ key, sender, first }) => ({ ...key, first, next: sender.counter });

/** The base keys of the epochs whose frames may be read. */
export class BaseKeys {
  /** @type {Map<bigint, EpochKeys>} by what a key id has of the epoch */
  #epochs = new Map();
  /** @type {Set<() => void>} who waits for more */
  #waiting = new Set();

  /** @param {EpochKeys} keys */
  add(keys) {
    const known = this.#epochs.get(keys.epoch & EPOCH_MASK);
    if (known?.epoch === keys.epoch && equal(known.baseKey, keys.baseKey)) return;
    known?.baseKey.fill(0);
    this.#epochs.set(keys.epoch & EPOCH_MASK, keys);
    for (const wake of this.#waiting) wake();
  }

  /** @param {bigint} epoch */
  erase(epoch) {
    const known = this.#epochs.get(epoch & EPOCH_MASK);
    if (known?.epoch !== epoch) return;
    known.baseKey.fill(0);
    this.#epochs.delete(epoch & EPOCH_MASK);
  }

  /**
   * The keys of the epoch of a key id.
   *
   * @param {bigint} keyId
   * @returns {EpochKeys | undefined}
   */
  of(keyId) {
    return this.#epochs.get(keyId & EPOCH_MASK);
  }

  /**
   * The keys of the epoch of a key id, once they are there.
   *
   * @param {bigint} keyId
   * @param {number} wait milliseconds to wait for them at most
   * @returns {Promise<EpochKeys | undefined>}
   */
  async when(keyId, wait) {
    const end = performance.now() + wait;
    for (;;) {
      const found = this.of(keyId);
      const left = end - performance.now();
      if (found !== undefined || left <= 0) return found;
      await new Promise((resolve) => {
        const wake = () => {
          this.#waiting.delete(wake);
          clearTimeout(timer);
          resolve(undefined);
        };
        const timer = setTimeout(wake, left);
        this.#waiting.add(wake);
      });
    }
  }
}

/** Decrypts the frames of the one member that is at the other end of a connection, and no other's. */
export class PeerFrames {
  #base;
  #leafIndex;
  #receiver = new FrameReceiver({ window: REPLAY_WINDOW });
  /** @type {Map<bigint, { keys: EpochKeys, added: Promise<void> }>} by key id */
  #derived = new Map();
  /** The context of the member's start of the call, once a frame was authentic. @type {bigint | undefined} */
  #context;
  /** The key id of the last frame that was authentic. @type {bigint | undefined} */
  #keyId;

  /**
   * @param {BaseKeys} base
   * @param {number} leafIndex
   */
  constructor(base, leafIndex) {
    this.#base = base;
    this.#leafIndex = leafIndex;
  }

  /** The key id of the last frame that was authentic. */
  get keyId() {
    return this.#keyId;
  }

  /**
   * @param {MediaKind} media
   * @param {Uint8Array} octets
   * @param {number} wait how long to wait for a key that is not there yet, in milliseconds
   * @returns {Promise<Uint8Array<ArrayBuffer>>} the frame
   * @throws {MLSError} `bad-frame`, `unknown-key`, `wrong-sender`, `replayed-frame`, `not-authentic`
   */
  async open(media, octets, wait) {
    const size = clearSize(media, octets);
    const clear = octets.subarray(0, size);
    const sealed = octets.subarray(size);
    const { keyId } = decodeHeader(sealed);
    const keys = this.#base.of(keyId) ?? (await this.#base.when(keyId, wait));
    if (keys === undefined) throw new MLSError("unknown-key", "The frame is of an epoch that there are no keys of.", { keyId });
    const member = keyId >> EPOCH_BITS;
    const context = member >> BigInt(keys.senderBits);
    // Every member can make every key of the group: that the frame is this member's, the connection tells.
    if (member !== ((context << BigInt(keys.senderBits)) | BigInt(this.#leafIndex))) {
      throw new MLSError("wrong-sender", "The frame is under a key that is not of the member whose connection this is.", { keyId });
    }
    await this.#derive(keyId, keys, context);
    const { frame } = await this.#receiver.unprotect(sealed, clear);
    this.#context = context;
    this.#keyId = keyId;
    return joined(clear, frame);
  }

  /**
   * Forget the keys of an epoch.
   *
   * @param {bigint} epoch
   */
  erase(epoch) {
    for (const [keyId, { keys }] of this.#derived) {
      if (keys.epoch !== epoch) continue;
      this.#receiver.delete(keyId);
      this.#derived.delete(keyId);
    }
  }

  /**
   * @param {bigint} keyId
   * @param {EpochKeys} keys
   * @param {bigint} context
   */
  async #derive(keyId, keys, context) {
    const known = this.#derived.get(keyId);
    if (known?.keys === keys) return known.added;
    const strange = this.#context === undefined ? this.#derived.size >= UNPROVEN_KEYS : context !== this.#context;
    if (strange) throw new MLSError("unknown-key", "The frame is under a key of another start of the call.", { keyId });
    const { cipherSuite, baseKey } = keys;
    const added = deriveKey({ cipherSuite, baseKey, keyId }).then((/** @type {SFrameKey} */ key) => {
      // The epoch may be gone by now.
      if (this.#derived.get(keyId)?.keys === keys) this.#receiver.set(key);
    });
    this.#derived.set(keyId, { keys, added });
    return added;
  }
}
