/**
 * What a page hands to `mls.js`, converted as Web IDL says: `MLSBytes`, `Uint8Array` and `UTF8String`, one or the other.
 *
 * @import { MLSBytes, MLSObjectType } from "./protocol.js"
 */

/** @type {ReadonlySet<string>} */
const OBJECT_TYPES = new Set([
  "group-epoch",
  "group-identifier",
  "group-info",
  "client-identifier",
  "credential-basic",
  "key-package",
  "proposal",
  "commit-output",
  "commit-processed",
  "welcome",
  "exporter-output",
  "exporter-label",
  "exporter-context",
  "application-message-ciphertext",
  "application-message-plaintext",
]);

/** @param {unknown} value */
const isUint8Array = (value) =>
  ArrayBuffer.isView(value) && /** @type {Uint8Array} */ (value)[Symbol.toStringTag] === "Uint8Array";

/**
 * A copy, so that a page may do with its own what it likes while the engine loads.
 *
 * @param {unknown} value
 * @param {string} what
 * @returns {Uint8Array}
 */
function copied(value, what) {
  const octets = /** @type {Uint8Array} */ (value);
  if (Object.prototype.toString.call(octets.buffer) === "[object SharedArrayBuffer]") {
    throw new TypeError(`${what} must not be shared memory`);
  }
  return octets.slice();
}

/**
 * @param {IArguments} given
 * @param {number} count
 * @param {string} method
 */
export function checkCount(given, count, method) {
  if (given.length >= count) return;
  const arity = count === 1 ? "1 argument" : `${count} arguments`;
  throw new TypeError(`${method}: At least ${arity} required, but only ${given.length} passed`);
}

/**
 * The octets of an argument.
 *
 * @param {unknown} value
 * @param {object} wanted
 * @param {string} wanted.method what messages begin with
 * @param {string} wanted.name of what it is, for messages
 * @param {MLSObjectType} [wanted.type] that an `MLSBytes` must have; any if left out
 * @param {boolean} [wanted.orString] whether a string is taken, as UTF-8
 * @param {boolean} [wanted.orEmpty] whether there may be none
 * @returns {Uint8Array}
 * @throws {TypeError}
 */
export function octetsOf(value, { method, name, type, orString = false, orEmpty = false }) {
  const octets = converted(value, method, name, type, orString);
  if (octets.length === 0 && !orEmpty) throw new TypeError(`${method}: The ${name} must not be empty`);
  return octets;
}

/**
 * @param {unknown} value
 * @param {string} method
 * @param {string} name
 * @param {MLSObjectType | undefined} type
 * @param {boolean} orString
 * @returns {Uint8Array}
 */
function converted(value, method, name, type, orString) {
  if (isUint8Array(value)) return copied(value, `${method}: The ${name}`);
  const isObject = value === null || value === undefined || typeof value === "object" || typeof value === "function";
  if (!isObject) {
    // A template converts numbers and the like as WebIDL does, and refuses symbols.
    if (orString) return new TextEncoder().encode(`${value}`);
    throw new TypeError(`${method}: The ${name} must be a Uint8Array or MLSBytes.`);
  }
  const { content, type: givenType } = /** @type {Partial<MLSBytes>} */ (value ?? {});
  if (content === undefined) throw new TypeError(`${method}: Missing required 'content' member of MLSBytes.`);
  if (!isUint8Array(content)) throw new TypeError(`${method}: 'content' member of MLSBytes is not a Uint8Array.`);
  if (givenType === undefined) throw new TypeError(`${method}: Missing required 'type' member of MLSBytes.`);
  if (!OBJECT_TYPES.has(`${givenType}`)) {
    throw new TypeError(`${method}: '${givenType}' is not a valid value for enumeration MLSObjectType.`);
  }
  if (type !== undefined && `${givenType}` !== type) {
    throw new TypeError(`${method}: The ${name} must be of type "${type}", not "${givenType}"`);
  }
  return copied(content, `${method}: The ${name}`);
}

/**
 * An `unsigned long long`. What is beyond a safe integer is beyond every bound too, and is cut off there.
 *
 * @param {unknown} value
 * @returns {number}
 */
export function lengthOf(value) {
  const number = Math.trunc(+(/** @type {any} */ (value)));
  if (!Number.isFinite(number)) return 0;
  return number < 0 || number > Number.MAX_SAFE_INTEGER ? Number.MAX_SAFE_INTEGER : number;
}
