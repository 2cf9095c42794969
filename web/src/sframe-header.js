/** The header of a frame of SFrame (RFC 9605 §4.3), and what is refused as none. */
import { MLSError } from "./errors.js";

export const MAX_UINT64 = 2n ** 64n - 1n;

/**
 * @param {unknown} number
 * @param {string} what
 * @returns {asserts number is bigint}
 */
export function requireUint64(number, what) {
  if (typeof number !== "bigint" || number < 0n || number > MAX_UINT64) {
    throw new MLSError("bad-argument", `${what} must be a bigint from 0 to 2^64 - 1.`);
  }
}

/**
 * @param {unknown} octets
 * @param {string} what
 * @returns {asserts octets is Uint8Array}
 */
export function requireOctets(octets, what) {
  if (!(octets instanceof Uint8Array)) throw new MLSError("bad-argument", `${what} must be a Uint8Array.`);
}

/** @param {string} reason */
export const badFrame = (reason) => new MLSError("bad-frame", `This is no SFrame frame: ${reason}.`);

/** How many octets a number takes behind the first one: those below 8 are in its bits. @param {bigint} number */
function fieldSize(number) {
  if (number < 8n) return 0;
  if (number <= 0xffffffffn) return (39 - Math.clz32(Number(number))) >> 3;
  return 4 + ((39 - Math.clz32(Number(number >> 32n))) >> 3);
}

/**
 * @param {Uint8Array} octets
 * @param {number} at
 * @param {number} size
 * @param {bigint} number
 */
function writeField(octets, at, size, number) {
  let rest = Number(number & 0xffffffffn);
  for (let place = at + size - 1; place >= at; place -= 1) {
    octets[place] = rest;
    rest >>>= 8;
    if (place === at + size - 4) rest = Number(number >> 32n);
  }
}

/** @param {number} size @param {bigint} number */
const fieldBits = (size, number) => (size === 0 ? Number(number) : 8 | (size - 1));

/** How many octets it has. @param {bigint} keyId @param {bigint} counter */
export const headerSize = (keyId, counter) => 1 + fieldSize(keyId) + fieldSize(counter);

/**
 * Write it at the beginning of a frame.
 *
 * @param {Uint8Array} octets
 * @param {bigint} keyId
 * @param {bigint} counter
 */
export function writeHeader(octets, keyId, counter) {
  const keySize = fieldSize(keyId);
  const counterSize = fieldSize(counter);
  octets[0] = (fieldBits(keySize, keyId) << 4) | fieldBits(counterSize, counter);
  writeField(octets, 1, keySize, keyId);
  writeField(octets, 1 + keySize, counterSize, counter);
}

/**
 * The header of a frame.
 *
 * @param {bigint} keyId KID, 0 to 2^64 - 1
 * @param {bigint} counter CTR, likewise
 * @returns {Uint8Array<ArrayBuffer>} 1 to 17 octets
 * @throws {MLSError} `bad-argument`
 */
export function encodeHeader(keyId, counter) {
  requireUint64(keyId, "The key id");
  requireUint64(counter, "The counter");
  const octets = new Uint8Array(headerSize(keyId, counter));
  writeHeader(octets, keyId, counter);
  return octets;
}

/**
 * @param {Uint8Array} octets
 * @param {number} bits of the first octet
 * @param {number} at
 * @returns {bigint}
 */
function readField(octets, bits, at) {
  if (bits < 8) return BigInt(bits);
  const end = at + bits - 7;
  if (end > octets.length) throw badFrame("it ends in its header");
  let high = 0;
  let low = 0;
  for (let place = at; place < end; place += 1) {
    high = ((high << 8) | (low >>> 24)) >>> 0;
    low = ((low << 8) | octets[place]) >>> 0;
  }
  // §4.3: the minimum number of octets. Two headers of one frame would be two frames to whoever compares them.
  if (octets[at] === 0 || (high === 0 && low < 8)) {
    throw badFrame("a number in its header takes more octets than it needs");
  }
  return high === 0 ? BigInt(low) : (BigInt(high) << 32n) | BigInt(low);
}

/**
 * The header at the beginning of a protected frame. Anybody can read it, and nobody has verified it.
 *
 * @param {Uint8Array} octets
 * @returns {{ keyId: bigint, counter: bigint, size: number }} `size`: octets of the header
 * @throws {MLSError} `bad-frame`: there is none, or a number takes more octets than it needs
 */
export function decodeHeader(octets) {
  requireOctets(octets, "A protected frame");
  if (octets.length === 0) throw badFrame("it is empty");
  const keyBits = octets[0] >> 4;
  const counterBits = octets[0] & 15;
  const keyId = readField(octets, keyBits, 1);
  const afterKey = keyBits < 8 ? 1 : keyBits - 6;
  const counter = readField(octets, counterBits, afterKey);
  return { keyId, counter, size: counterBits < 8 ? afterKey : afterKey + counterBits - 7 };
}
