/**
 * The keys that a group's members protect their media with, from epoch to epoch (RFC 9605 §5.2).
 *
 * The functions work in a page, a worker and Node; what they need is plain values, which a page may post to its worker.
 *
 * ```js
 * const media = new MediaKeys(group);
 * media.addEventListener("keys", async ({ detail }) => {
 *   sender = new FrameSender(await sendingKey(detail, await group.reserveSFrameContext()));
 * });
 * const receiver = new FrameReceiver({ find: async (keyId) => receivingKey(media.keysOf(keyId), keyId) });
 * ```
 *
 * @import { Group } from "./group.js"
 * @import { EpochMediaKeys, SFrameKeys, SFrameSender, SrtpKeys, SrtpProfile } from "./protocol.js"
 * @import { SFrameKey } from "./sframe.js"
 */
import { MLSError } from "./errors.js";
import { deriveKey } from "./sframe.js";

const EPOCH_BITS = 8;
const EPOCH_MASK = (1n << BigInt(EPOCH_BITS)) - 1n;

// -- key ids

/**
 * KID of a member.
 *
 * @param {Pick<SFrameKeys, "epoch" | "senderBits">} keys
 * @param {number} leafIndex
 * @param {bigint} [context] that the sender has chosen
 * @returns {bigint}
 * @throws {MLSError} `bad-argument`: it does not fit
 */
export function keyIdOf({ epoch, senderBits }, leafIndex, context = 0n) {
  const fits = Number.isInteger(leafIndex) && leafIndex >= 0 && leafIndex < 2 ** senderBits;
  if (!fits) throw new MLSError("bad-argument", `There is no leaf ${leafIndex} in a group of ${2 ** senderBits} leaves.`);
  const bits = senderBits + EPOCH_BITS;
  if (context < 0n || context >= 1n << BigInt(64 - bits)) {
    throw new MLSError("bad-argument", "The context does not fit into a key id.");
  }
  return (context << BigInt(bits)) | (BigInt(leafIndex) << BigInt(EPOCH_BITS)) | (epoch & EPOCH_MASK);
}

/**
 * Who sends by a key id.
 *
 * @param {SFrameKeys} keys
 * @param {bigint} keyId
 * @returns {SFrameSender | undefined} undefined if it is of another epoch, or nobody is on that leaf
 */
export function senderOf({ epoch, senderBits, senders }, keyId) {
  if ((keyId & EPOCH_MASK) !== (epoch & EPOCH_MASK)) return undefined;
  const leafIndex = Number((keyId >> BigInt(EPOCH_BITS)) & ((1n << BigInt(senderBits)) - 1n));
  return senders.find((sender) => sender.leafIndex === leafIndex);
}

/**
 * The key for frames of our own.
 *
 * @param {SFrameKeys} keys
 * @param {bigint} context that was not used in this epoch: `Group.reserveSFrameContext`
 * @returns {Promise<SFrameKey>} for one `FrameSender`
 * @throws {MLSError} `bad-argument`
 */
export async function sendingKey(keys, context) {
  const own = keys.senders.find(({ self }) => self);
  if (own === undefined) throw new MLSError("bad-argument", "These keys are of no member.");
  return deriveKey({ ...keys, keyId: keyIdOf(keys, own.leafIndex, context) });
}

/**
 * The key for frames of somebody else.
 *
 * @param {SFrameKeys | undefined} keys of the epoch that the key id is of: `MediaKeys.keysOf`
 * @param {bigint} keyId
 * @returns {Promise<SFrameKey | undefined>} undefined if there are none; nobody sends by that key id; or we do: whoever forwards could
 *   send our own frames back to us
 */
export async function receivingKey(keys, keyId) {
  const sender = keys && senderOf(keys, keyId);
  return keys === undefined || sender === undefined || sender.self ? undefined : deriveKey({ ...keys, keyId });
}

// -- SRTP

/**
 * SRTP keys for a native end point: the key parameters of a security description (RFC 4568 §6.1), with the MKI. Keep them secret.
 *
 * @param {Pick<SrtpKeys, "key" | "salt" | "mki">} keys
 * @returns {string} `inline:<base64 of key and salt>|2^48|<MKI>:4`
 */
export function sdesKeyParams({ key, salt, mki }) {
  const inline = btoa(String.fromCharCode(...key, ...salt));
  return `inline:${inline}|2^48|${new DataView(mki.buffer, mki.byteOffset, 4).getUint32(0)}:4`;
}

// -- from epoch to epoch

/**
 * Follows a group for media: has the keys of its present epoch, and for a while those of earlier ones, since frames and news of a change
 * go different ways.
 *
 * Events, all `CustomEvent`s: `keys` (detail: what `Group.exportSFrameKeys` gives, with a member `srtp` if asked for), for the present
 * epoch and each one that begins; `erased` (detail: `{ epoch }`): those keys are zeros now, and whoever made something of them drops
 * it; `error` (detail: `MLSError`): the keys of an epoch could not be had. Of one epoch, `erased` and then `keys` can come
 * when another commit takes the place of the one that began it.
 */
export class MediaKeys extends EventTarget {
  #group;
  #overlap;
  #profiles;
  /** @type {EpochMediaKeys[]} the present epoch's at the end */
  #held = [];
  /** @type {Map<EpochMediaKeys, ReturnType<typeof setTimeout>>} */
  #timers = new Map();
  #closed = false;
  /** Whether there may be another epoch than the one that was asked for last. */
  #behind = false;
  #asking = false;
  #onepoch = () => void this.#catchUp();
  #onremoved = () => this.close();

  /**
   * @param {Group} group
   * @param {{ overlap?: number, srtp?: SrtpProfile[] }} [options] `overlap`: for how many milliseconds the keys of an epoch stay when the
   *   next has begun, by default 10 000; `srtp`: profiles for which there are to be SRTP keys, too
   */
  constructor(group, { overlap = 10_000, srtp = [] } = {}) {
    super();
    if (!(overlap >= 0)) throw new MLSError("bad-argument", "The overlap must be a number of milliseconds.");
    this.#group = group;
    this.#overlap = overlap;
    this.#profiles = [...srtp];
    group.addEventListener("epoch", this.#onepoch);
    group.addEventListener("removed", this.#onremoved);
    void this.#catchUp();
  }

  /** The keys of the latest epoch; undefined as long as there are none. @returns {EpochMediaKeys | undefined} */
  get current() {
    return this.#held.at(-1);
  }

  /**
   * The keys of the epoch that a key id is of.
   *
   * @param {bigint} keyId
   * @returns {EpochMediaKeys | undefined} undefined if they are not there, or not any more
   */
  keysOf(keyId) {
    return this.#held.find(({ epoch }) => (epoch & EPOCH_MASK) === (keyId & EPOCH_MASK));
  }

  /** Follow the group no more, and erase all keys. When the client is removed from the group, this happens by itself. */
  close() {
    this.#closed = true;
    this.#group.removeEventListener("epoch", this.#onepoch);
    this.#group.removeEventListener("removed", this.#onremoved);
    for (const keys of [...this.#held]) this.#erase(keys);
  }

  async #catchUp() {
    this.#behind = true;
    if (this.#asking) return;
    this.#asking = true;
    try {
      while (this.#behind && !this.#closed) {
        this.#behind = false;
        this.#take(await this.#export());
      }
    } catch (error) {
      if (!this.#closed) this.dispatchEvent(new CustomEvent("error", { detail: error }));
    } finally {
      this.#asking = false;
    }
  }

  /** @returns {Promise<EpochMediaKeys>} */
  async #export() {
    const keys = await this.#group.exportSFrameKeys();
    if (this.#profiles.length === 0) return keys;
    const srtp = await Promise.all(this.#profiles.map((profile) => this.#group.exportSrtpKeys({ profile })));
    const after = await this.#group.exportSFrameKeys();
    const isOne = same(keys, after);
    erase(keys);
    // If another epoch began meanwhile, they are not all of one.
    if (!isOne) return this.#export();
    return { ...after, srtp: Object.fromEntries(this.#profiles.map((profile, index) => [profile, srtp[index]])) };
  }

  /** @param {EpochMediaKeys} keys */
  #take(keys) {
    const before = this.current;
    if (this.#closed || (before && same(before, keys))) {
      erase(keys);
      return;
    }
    for (const held of [...this.#held]) {
      // §5.2: two epochs whose low bits are equal are not kept side by side; one that another has taken the place of is no more.
      if ((held.epoch & EPOCH_MASK) === (keys.epoch & EPOCH_MASK) || held.epoch > keys.epoch) this.#erase(held);
      else if (held === before) this.#timers.set(held, setTimeout(() => this.#erase(held), this.#overlap));
    }
    this.#held.push(keys);
    this.dispatchEvent(new CustomEvent("keys", { detail: keys }));
  }

  /** @param {EpochMediaKeys} keys */
  #erase(keys) {
    clearTimeout(this.#timers.get(keys));
    this.#timers.delete(keys);
    this.#held.splice(this.#held.indexOf(keys), 1);
    erase(keys);
    this.dispatchEvent(new CustomEvent("erased", { detail: { epoch: keys.epoch } }));
  }
}

/** @param {SFrameKeys} first @param {SFrameKeys} second */
const same = (first, second) =>
  first.epoch === second.epoch && first.baseKey.every((octet, place) => octet === second.baseKey[place]);

/** @param {EpochMediaKeys} keys */
function erase({ baseKey, srtp = {} }) {
  baseKey.fill(0);
  for (const { key, salt } of Object.values(srtp).flat()) {
    key.fill(0);
    salt.fill(0);
  }
}
