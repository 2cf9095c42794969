/**
 * Keys of SFrame, and encryption under them (RFC 9605 §4.4, §4.5), by WebCrypto.
 *
 * @import { SFrameCipherSuite, SFrameSuiteParameters } from "./protocol.js"
 */
import { MLSError } from "./errors.js";
import { requireOctets, requireUint64 } from "./sframe-header.js";

/** @type {(id: number, Nt: number) => SFrameSuiteParameters} */
const ctr = (id, Nt) => Object.freeze({ id, hash: "SHA-256", aead: "AES-CTR", Nk: 48, Nka: 16, Nt });

/**
 * The cipher suites, by their names.
 *
 * @type {Readonly<Record<SFrameCipherSuite, SFrameSuiteParameters>>}
 */
export const SFRAME_CIPHER_SUITES = Object.freeze({
  AES_128_CTR_HMAC_SHA256_80: ctr(1, 10),
  AES_128_CTR_HMAC_SHA256_64: ctr(2, 8),
  AES_128_CTR_HMAC_SHA256_32: ctr(3, 4),
  AES_128_GCM_SHA256_128: Object.freeze({ id: 4, hash: "SHA-256", aead: "AES-GCM", Nk: 16, Nka: 0, Nt: 16 }),
  AES_256_GCM_SHA512_128: Object.freeze({ id: 5, hash: "SHA-512", aead: "AES-GCM", Nk: 32, Nka: 0, Nt: 16 }),
});

const Nn = 12;
export const NO_OCTETS = new Uint8Array();

/** What the frames of one key id are protected with. It shows no secret. */
export class SFrameKey {
  /** @type {SFrameCipherSuite} */
  #cipherSuite;
  #keyId;
  #cipher;
  #mac;
  #Nt;
  /** The salt's last 8 octets, as a number. */
  #salt;
  // WebCrypto copies what it is given before a call returns, so these serve all frames.
  /** The counter block of AES-CTR: the nonce, and four zeros. */
  #block;
  #nonce;
  #gcm;
  #ctr;

  /**
   * @internal `deriveKey` makes it
   * @param {SFrameCipherSuite} cipherSuite
   * @param {bigint} keyId
   * @param {Uint8Array<ArrayBuffer>} salt
   * @param {CryptoKey} cipher of AES
   * @param {CryptoKey | undefined} mac of HMAC
   */
  constructor(cipherSuite, keyId, salt, cipher, mac) {
    this.#cipherSuite = cipherSuite;
    this.#keyId = keyId;
    this.#cipher = cipher;
    this.#mac = mac;
    this.#Nt = SFRAME_CIPHER_SUITES[cipherSuite].Nt;
    this.#salt = new DataView(salt.buffer).getBigUint64(4);
    const block = new Uint8Array(16);
    block.set(salt);
    this.#block = new DataView(block.buffer);
    this.#nonce = block.subarray(0, Nn);
    this.#gcm = { name: "AES-GCM", iv: this.#nonce, additionalData: NO_OCTETS, tagLength: 8 * this.#Nt };
    this.#ctr = { name: "AES-CTR", counter: block, length: 32 };
  }

  /** Of which suite. @returns {SFrameCipherSuite} */
  get cipherSuite() {
    return this.#cipherSuite;
  }

  /** KID. */
  get keyId() {
    return this.#keyId;
  }

  /**
   * The size of the tag.
   *
   * @internal
   * @param {SFrameKey} key
   */
  static tagSize(key) {
    return key.#Nt;
  }

  /**
   * Encrypt a frame.
   *
   * @internal
   * @param {SFrameKey} key
   * @param {bigint} counter
   * @param {Uint8Array} frame
   * @param {Uint8Array} metadata
   * @param {Uint8Array} header
   * @param {(encrypted: ArrayBuffer) => Uint8Array} place takes what was encrypted to where it belongs, and gives that place, with room
   *   for a tag behind it where there is none in it
   */
  static async seal(key, counter, frame, metadata, header, place) {
    key.#block.setBigUint64(4, key.#salt ^ counter);
    if (key.#mac === undefined) {
      key.#gcm.additionalData = metadata.length === 0 ? octetsOf(header) : join(header, metadata);
      place(await crypto.subtle.encrypt(key.#gcm, key.#cipher, octetsOf(frame)));
    } else {
      const placed = place(await crypto.subtle.encrypt(key.#ctr, key.#cipher, octetsOf(frame)));
      placed.set(await SFrameKey.#tag(key, key.#mac, counter, header, metadata, placed.subarray(0, frame.length)), frame.length);
    }
  }

  /**
   * Decrypt what is behind a header.
   *
   * @internal
   * @param {SFrameKey} key
   * @param {bigint} counter
   * @param {Uint8Array} octets the protected frame
   * @param {number} size of its header
   * @param {Uint8Array} metadata
   * @returns {Promise<ArrayBuffer>} rejects with whatever WebCrypto does, or an `MLSError`, if it is not authentic
   */
  static open(key, counter, octets, size, metadata) {
    const header = octets.subarray(0, size);
    if (key.#mac === undefined) {
      key.#block.setBigUint64(4, key.#salt ^ counter);
      key.#gcm.additionalData = metadata.length === 0 ? octetsOf(header) : join(header, metadata);
      return crypto.subtle.decrypt(key.#gcm, key.#cipher, octetsOf(octets.subarray(size)));
    }
    return SFrameKey.#openWithMac(key, key.#mac, counter, header, octets.subarray(size), metadata);
  }

  /**
   * @param {SFrameKey} key
   * @param {CryptoKey} mac
   * @param {bigint} counter
   * @param {Uint8Array} header
   * @param {Uint8Array} sealed
   * @param {Uint8Array} metadata
   */
  static async #openWithMac(key, mac, counter, header, sealed, metadata) {
    const ciphertext = sealed.subarray(0, sealed.length - key.#Nt);
    // WebCrypto verifies whole tags only.
    const tag = await SFrameKey.#tag(key, mac, counter, header, metadata, ciphertext);
    let difference = 0;
    for (let place = 0; place < tag.length; place += 1) difference |= tag[place] ^ sealed[ciphertext.length + place];
    if (difference !== 0) throw notAuthentic();
    key.#block.setBigUint64(4, key.#salt ^ counter);
    return crypto.subtle.decrypt(key.#ctr, key.#cipher, octetsOf(ciphertext));
  }

  /**
   * compute_tag (§4.5.1).
   *
   * @param {SFrameKey} key
   * @param {CryptoKey} mac
   * @param {bigint} counter
   * @param {Uint8Array} header
   * @param {Uint8Array} metadata
   * @param {Uint8Array} ciphertext
   */
  static async #tag(key, mac, counter, header, metadata, ciphertext) {
    const before = 24 + Nn;
    const aad = header.length + metadata.length;
    const octets = scratchOf(before + aad + ciphertext.length);
    const sizes = new DataView(octets.buffer, 0, 24);
    sizes.setBigUint64(0, BigInt(aad));
    sizes.setBigUint64(8, BigInt(ciphertext.length));
    sizes.setBigUint64(16, BigInt(key.#Nt));
    key.#block.setBigUint64(4, key.#salt ^ counter);
    octets.set(key.#nonce, 24);
    octets.set(header, before);
    octets.set(metadata, before + header.length);
    octets.set(ciphertext, before + aad);
    const tag = await crypto.subtle.sign("HMAC", mac, octets);
    return new Uint8Array(tag, 0, key.#Nt);
  }
}

let scratch = new Uint8Array(4096);

/**
 * Memory for what WebCrypto copies before a call returns: the next caller has the same. Nothing secret is to be put there.
 *
 * @param {number} size
 */
function scratchOf(size) {
  if (size > scratch.length) scratch = new Uint8Array(2 * size);
  return scratch.subarray(0, size);
}

/**
 * Give memory back that is of no more use: until the garbage is collected, each frame would take fresh memory, and that takes longer
 * than to encrypt it.
 *
 * @param {ArrayBuffer} buffer
 */
export function release(buffer) {
  transferable(buffer).transfer?.(0);
}

/**
 * A buffer with room before what was in another, whose memory it takes: less of it is fresh than in one of its own.
 *
 * @param {ArrayBuffer} buffer
 * @param {number} room octets before
 * @param {number} size octets of the whole
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function behind(buffer, room, size) {
  const length = buffer.byteLength;
  const larger = transferable(buffer).transfer?.(size);
  const octets = larger === undefined ? new Uint8Array(size) : new Uint8Array(larger);
  if (larger === undefined) octets.set(new Uint8Array(buffer), room);
  else octets.copyWithin(room, 0, length);
  return octets;
}

/** `transfer` is lacking in older browsers, and in TypeScript's ES2023. @param {ArrayBuffer} buffer */
const transferable = (buffer) => /** @type {{ transfer?: (size: number) => ArrayBuffer }} */ (buffer);

export const notAuthentic = () => new MLSError("not-authentic", "The frame is not authentic.");

/**
 * What WebCrypto takes; TypeScript does not let it take what may be shared with other threads.
 *
 * @param {Uint8Array} octets
 */
const octetsOf = (octets) => /** @type {Uint8Array<ArrayBuffer>} */ (octets);

/**
 * @param {Uint8Array} first
 * @param {Uint8Array} second
 * @returns {Uint8Array<ArrayBuffer>}
 */
function join(first, second) {
  const octets = new Uint8Array(first.length + second.length);
  octets.set(first);
  octets.set(second, first.length);
  return octets;
}

/**
 * The key of a key id (§4.4.2). What is derived cannot be read out of it.
 *
 * @param {{ cipherSuite: SFrameCipherSuite, baseKey: Uint8Array, keyId: bigint }} options `baseKey`: what sender and receivers share
 * @returns {Promise<SFrameKey>}
 * @throws {MLSError} `bad-argument`
 */
export async function deriveKey({ cipherSuite, baseKey, keyId }) {
  if (!Object.hasOwn(SFRAME_CIPHER_SUITES, cipherSuite)) {
    const names = Object.keys(SFRAME_CIPHER_SUITES).join(", ");
    throw new MLSError("bad-argument", `There is no SFrame cipher suite ${JSON.stringify(cipherSuite)}; they are ${names}.`);
  }
  requireOctets(baseKey, "The base key");
  if (baseKey.length === 0) throw new MLSError("bad-argument", "The base key is empty.");
  requireUint64(keyId, "The key id");
  const { id, hash, aead, Nk, Nka } = SFRAME_CIPHER_SUITES[cipherSuite];
  const { subtle } = crypto;
  const secret = await subtle.importKey("raw", octetsOf(baseKey), "HKDF", false, ["deriveBits"]);
  const name = new DataView(new ArrayBuffer(10));
  name.setBigUint64(0, keyId);
  name.setUint16(8, id);
  /** @type {(label: string, size: number) => Promise<Uint8Array<ArrayBuffer>>} */
  const expand = async (label, size) => {
    const info = join(new TextEncoder().encode(label), new Uint8Array(name.buffer));
    return new Uint8Array(await subtle.deriveBits({ name: "HKDF", hash, salt: NO_OCTETS, info }, secret, 8 * size));
  };
  const [key, salt] = await Promise.all([expand("SFrame 1.0 Secret key ", Nk), expand("SFrame 1.0 Secret salt ", Nn)]);
  const [cipher, mac] = await Promise.all([
    subtle.importKey("raw", key.subarray(0, Nka || Nk), aead, false, ["encrypt", "decrypt"]),
    aead === "AES-CTR" ? subtle.importKey("raw", key.subarray(Nka), { name: "HMAC", hash }, false, ["sign"]) : undefined,
  ]);
  key.fill(0);
  return new SFrameKey(cipherSuite, keyId, salt, cipher, mac);
}
