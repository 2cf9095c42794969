/**
 * SFrame (RFC 9605): frames of media, encrypted from one participant to the others, whoever forwards them.
 *
 * It knows nothing of WebRTC or MLS, needs nothing but WebCrypto, and works in a page, a worker and Node. `media-keys.js` has the keys
 * of a group.
 *
 * ```js
 * const key = await deriveKey({ cipherSuite: "AES_128_GCM_SHA256_128", baseKey, keyId: 5n });
 * const sender = new FrameSender(key);
 * const receiver = new FrameReceiver();
 * receiver.set(key);
 * const { frame } = await receiver.unprotect(await sender.protect(octets));
 * ```
 */
import { MLSError } from "./errors.js";
import { MAX_UINT64, badFrame, decodeHeader, headerSize, requireOctets, requireUint64, writeHeader } from "./sframe-header.js";
import { NO_OCTETS, SFrameKey, behind, notAuthentic, release } from "./sframe-key.js";

export { decodeHeader, encodeHeader } from "./sframe-header.js";
export { SFRAME_CIPHER_SUITES, SFrameKey, deriveKey } from "./sframe-key.js";

const MAX_WINDOW = 65536;
const MAX_FOUND = 64;

// -- sending

/** Protects the frames of one key id. There is one of it for a key: two would use a counter twice, and give both frames away. */
export class FrameSender {
  #key;
  #counter;

  /**
   * @param {SFrameKey} key that nobody else sends with
   * @param {bigint} [firstCounter] CTR of the first frame; more than 0 only if all earlier frames of this key had smaller ones
   */
  constructor(key, firstCounter = 0n) {
    if (!(key instanceof SFrameKey)) throw new MLSError("bad-argument", "The key must be one that deriveKey() gave.");
    requireUint64(firstCounter, "The counter");
    this.#key = key;
    this.#counter = firstCounter;
  }

  /** KID. */
  get keyId() {
    return this.#key.keyId;
  }

  /** CTR of the next frame. */
  get counter() {
    return this.#counter;
  }

  /**
   * How many octets the next frame has when it is protected.
   *
   * @param {number} length octets of the frame
   */
  sizeOf(length) {
    return headerSize(this.#key.keyId, this.#counter) + length + SFrameKey.tagSize(this.#key);
  }

  /**
   * Protect a frame. Its counter is taken when this is called; so calls need not wait for each other.
   *
   * @template {ArrayBufferLike} [Buffer=ArrayBuffer]
   * @param {Uint8Array} frame
   * @param {Uint8Array} [metadata] is authenticated with it, and not part of the result; the receiver has it from elsewhere
   * @param {Uint8Array<Buffer>} [into] where to write it, at its beginning: so that it can follow something else, or memory be used again.
   *   `sizeOf` says how much room it takes; it must not overlap `frame`, and nothing else is to write there meanwhile
   * @returns {Promise<Uint8Array<Buffer>>} in `into`, or a buffer of its own
   * @throws {MLSError} `bad-argument`; `counter-exhausted`: there were 2^64 frames
   */
  async protect(frame, metadata = NO_OCTETS, into = undefined) {
    requireOctets(frame, "The frame");
    requireOctets(metadata, "The metadata");
    const size = this.sizeOf(frame.length);
    if (into === undefined) return /** @type {Promise<Uint8Array<Buffer>>} */ (this.#sealed(NO_OCTETS, frame, metadata, size));
    requireOctets(into, "The place for the protected frame");
    if (into.length < size) throw new MLSError("bad-argument", `The protected frame takes ${size} octets, and there are ${into.length}.`);
    const { counter, header } = this.#next();
    into.set(header);
    await SFrameKey.seal(this.#key, counter, frame, metadata, header, (encrypted) => {
      into.set(new Uint8Array(encrypted), header.length);
      release(encrypted);
      return into.subarray(header.length, size);
    });
    return into.subarray(0, size);
  }

  /**
   * Protect a frame behind octets that stay clear, and are authenticated with it as its metadata.
   *
   * @param {Uint8Array} clear
   * @param {Uint8Array} frame
   * @returns {Promise<Uint8Array<ArrayBuffer>>} both, in a buffer of their own
   * @throws {MLSError} as for `protect`
   */
  async protectBehind(clear, frame) {
    requireOctets(clear, "What stays clear");
    requireOctets(frame, "The frame");
    return this.#sealed(clear, frame, clear, clear.length + this.sizeOf(frame.length));
  }

  /**
   * @param {Uint8Array} clear
   * @param {Uint8Array} frame
   * @param {Uint8Array} metadata
   * @param {number} size of the whole
   * @returns {Promise<Uint8Array<ArrayBuffer>>}
   */
  async #sealed(clear, frame, metadata, size) {
    const { counter, header } = this.#next();
    /** @type {Uint8Array<ArrayBuffer>} */
    let octets = NO_OCTETS;
    await SFrameKey.seal(this.#key, counter, frame, metadata, header, (encrypted) => {
      const room = clear.length + header.length;
      octets = behind(encrypted, room, size);
      octets.set(clear);
      octets.set(header, clear.length);
      return octets.subarray(room);
    });
    return octets;
  }

  /** Whatever fails from here on, nothing else gets this counter. */
  #next() {
    const counter = this.#counter;
    if (counter > MAX_UINT64) throw new MLSError("counter-exhausted", "This key has protected all frames that it can.");
    this.#counter = counter + 1n;
    const header = new Uint8Array(headerSize(this.#key.keyId, counter));
    writeHeader(header, this.#key.keyId, counter);
    return { counter, header };
  }
}

// -- receiving

/** Which counters of a key were there: the highest, and those of the `size` below and with it (as RFC 3711 §3.3.2). */
class Window {
  #size;
  #top = -1n;
  /** One bit for each of the last counters, in the place of its lowest bits. */
  #seen;
  #mask;

  /** @param {number} size */
  constructor(size) {
    const places = 2 ** Math.max(5, Math.ceil(Math.log2(size)));
    this.#size = BigInt(size);
    this.#mask = BigInt(places - 1);
    this.#seen = new Uint32Array(places / 32);
  }

  /** Whether it was not there; one that is too far below the highest counts as if it had been. @param {bigint} counter */
  isNew(counter) {
    if (counter > this.#top) return true;
    if (this.#top - counter >= this.#size) return false;
    const place = Number(counter & this.#mask);
    return ((this.#seen[place >>> 5] >>> (place & 31)) & 1) === 0;
  }

  /** Take note of one that is new. @param {bigint} counter */
  add(counter) {
    if (counter - this.#top > this.#mask) {
      this.#seen.fill(0);
      this.#top = counter;
    }
    while (this.#top < counter) {
      this.#top += 1n;
      const place = Number(this.#top & this.#mask);
      this.#seen[place >>> 5] &= ~(1 << (place & 31));
    }
    const place = Number(counter & this.#mask);
    this.#seen[place >>> 5] |= 1 << (place & 31);
  }
}

/** A key, and what came under it. */
class Known {
  key;
  window;

  /** @param {SFrameKey} key @param {number} size of the window */
  constructor(key, size) {
    this.key = key;
    this.window = new Window(size);
  }
}

/** Opens protected frames, by the keys that it has; each frame once. */
export class FrameReceiver {
  #size;
  #find;
  /** @type {Map<bigint, Known>} */
  #keys = new Map();
  /** @type {Map<bigint, Promise<Known | undefined>>} keys that were found, under which no frame was authentic yet, the oldest first */
  #found = new Map();

  /**
   * @param {{ window?: number, find?: (keyId: bigint) => Promise<SFrameKey | undefined> }} [options] `window`: how far the counters of a
   *   key may come out of order, 1 to 65536; a frame that comes after one with a counter larger by this or more is refused; `find`: is
   *   asked for the key of an id that was not set. What it gives is kept once a frame was authentic under it
   */
  constructor({ window = 1024, find = async () => undefined } = {}) {
    if (!Number.isInteger(window) || window < 1 || window > MAX_WINDOW) {
      throw new MLSError("bad-argument", `The window must be a whole number from 1 to ${MAX_WINDOW}.`);
    }
    this.#size = window;
    this.#find = find;
  }

  /** The key ids that it has keys of. @returns {bigint[]} */
  get keyIds() {
    return [...this.#keys.keys()];
  }

  /**
   * Use a key for its key id. What came under another key of that id is forgotten; the same object again is no change.
   *
   * @param {SFrameKey} key
   */
  set(key) {
    if (!(key instanceof SFrameKey)) throw new MLSError("bad-argument", "The key must be one that deriveKey() gave.");
    // Else whoever sets a key again would let all its frames come again.
    if (this.#keys.get(key.keyId)?.key === key) return;
    this.#found.delete(key.keyId);
    this.#keys.set(key.keyId, new Known(key, this.#size));
  }

  /** Forget a key; nothing happens if there is none. @param {bigint} keyId */
  delete(keyId) {
    this.#keys.delete(keyId);
    this.#found.delete(keyId);
  }

  /** Whether there is a key of this id. @param {bigint} keyId @returns {boolean} */
  has(keyId) {
    return this.#keys.has(keyId);
  }

  /**
   * The frame in a protected one.
   *
   * @param {Uint8Array} octets
   * @param {Uint8Array} [metadata] as it was given to `protect`
   * @returns {Promise<{ frame: Uint8Array<ArrayBuffer>, keyId: bigint, counter: bigint }>} `keyId`: says who sent it
   * @throws {MLSError} `bad-frame`: it is none; `unknown-key` (details: `keyId`); `replayed-frame`: it was here before, or is too old to
   *   say; `not-authentic`: it, its header or its metadata are not as they were sent
   */
  async unprotect(octets, metadata = NO_OCTETS) {
    const { keyId, counter, size } = decodeHeader(octets);
    requireOctets(metadata, "The metadata");
    const known = this.#keys.get(keyId) ?? (await this.#search(keyId));
    if (known === undefined) throw new MLSError("unknown-key", `There is no key of the key id ${keyId}.`, { keyId });
    if (octets.length - size < SFrameKey.tagSize(known.key)) throw badFrame("it is shorter than its tag");
    if (!known.window.isNew(counter)) throw replayed();
    const frame = new Uint8Array(await SFrameKey.open(known.key, counter, octets, size, metadata).catch(refused));
    // The same frame may have come a second time meanwhile.
    if (!known.window.isNew(counter)) throw replayed();
    known.window.add(counter);
    if (this.#found.size > 0) await this.#keepFound(keyId, known);
    return { frame, keyId, counter };
  }

  /** @param {bigint} keyId */
  #search(keyId) {
    const searched = this.#found.get(keyId);
    if (searched !== undefined) return searched;
    const found = this.#find(keyId).then((key) => {
      if (key !== undefined) return new Known(key, this.#size);
      this.#found.delete(keyId);
      return undefined;
    });
    // Whoever forwards frames could make up any number of key ids.
    if (this.#found.size === MAX_FOUND) this.#found.delete(/** @type {bigint} */ (this.#found.keys().next().value));
    this.#found.set(keyId, found);
    return found;
  }

  /** @param {bigint} keyId @param {Known} known */
  async #keepFound(keyId, known) {
    if ((await this.#found.get(keyId)) !== known) return;
    this.#found.delete(keyId);
    this.#keys.set(keyId, known);
  }
}

/** @param {unknown} error @returns {never} */
function refused(error) {
  // So WebCrypto says that a tag does not match.
  throw error instanceof DOMException && error.name === "OperationError" ? notAuthentic() : error;
}

const replayed = () =>
  new MLSError("replayed-frame", "This frame was here before, or is older than can be said of it.");
