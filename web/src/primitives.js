/**
 * The primitives of the `webjs` crypto provider: synchronous calls on octets, for `mls_federation.crypto.webjs`.
 *
 * Curve25519 and ChaCha20-Poly1305 come from libsodium, the rest from noble. Each call returns octets (or a boolean),
 * or `undefined` where a key, a ciphertext or a signature is at fault: an exception would cross into Python as a
 * foreign type, and a library's text could quote a key. Algorithms are named as in `mls_federation.crypto.suites`.
 * JavaScript big integers are not constant-time: noble's P curves, X448 and Ed448 leak timing to code in this browser.
 */
import { ctr, ed448, gcm, p256, p384, p521, sodium, x448 } from "./vendor/primitives.js";

/**
 * @typedef {Uint8Array | undefined} OctetsOrFault
 * @typedef {[pub: Uint8Array, message: Uint8Array, signature: Uint8Array]} SignedMessage
 * @typedef {(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, text: Uint8Array) => Uint8Array} AeadFunction
 * @typedef {{ seal: AeadFunction, open: AeadFunction }} Aead
 * @typedef {{
 *   Nsk: number,
 *   Npk: number,
 *   publicKey(priv: Uint8Array): Uint8Array,
 *   shared(priv: Uint8Array, pub: Uint8Array): Uint8Array,
 * }} Dh
 * @typedef {{
 *   publicKey(priv: Uint8Array): Uint8Array,
 *   sign(priv: Uint8Array, message: Uint8Array): Uint8Array,
 *   verify(pub: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean,
 * }} Signature
 * @typedef {typeof p256} WeierstrassCurve
 */

/**
 * @param {number} Nk octets of the key; noble alone would let the key's length choose the variant of AES
 * @returns {Aead}
 */
function aesGcm(Nk) {
  /** @type {(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array) => ReturnType<typeof gcm>} */
  const cipher = (key, nonce, aad) => {
    if (key.length !== Nk) throw new RangeError(`the key has ${key.length} octets, not ${Nk}`);
    if (nonce.length !== 12) throw new RangeError(`the nonce has ${nonce.length} octets, not 12`);
    return gcm(key, nonce, aad);
  };
  return {
    seal: (key, nonce, aad, text) => cipher(key, nonce, aad).encrypt(text),
    open: (key, nonce, aad, text) => cipher(key, nonce, aad).decrypt(text),
  };
}

/**
 * @param {Uint8Array} key
 * @param {Uint8Array} block of the first counter
 * @param {Uint8Array} data
 * @returns {Uint8Array}
 */
function aesCtr(key, block, data) {
  if (key.length !== 16 && key.length !== 32) throw new RangeError(`the key has ${key.length} octets, not 16 or 32`);
  return ctr(key, block).encrypt(data);
}

/** @type {Aead} */
const chacha20Poly1305 = {
  seal: (key, nonce, aad, text) => sodium.crypto_aead_chacha20poly1305_ietf_encrypt(text, aad, null, nonce, key),
  open: (key, nonce, aad, text) => sodium.crypto_aead_chacha20poly1305_ietf_decrypt(null, text, aad, nonce, key),
};

/** @type {Dh} */
const x25519 = {
  Nsk: 32,
  Npk: 32,
  publicKey: (priv) => sodium.crypto_scalarmult_base(priv),
  // libsodium refuses an all-zero result, as RFC 9180 §7.1.4 demands.
  shared: (priv, pub) => sodium.crypto_scalarmult(priv, pub),
};

/** @type {Dh} */
const x448Dh = {
  Nsk: 56,
  Npk: 56,
  publicKey: (priv) => x448.getPublicKey(priv),
  // noble refuses an all-zero result, as RFC 9180 §7.1.4 demands.
  shared: (priv, pub) => x448.getSharedSecret(priv, pub),
};

/** @type {Signature} */
const ed25519 = {
  publicKey(seed) {
    const pair = sodium.crypto_sign_seed_keypair(seed);
    sodium.memzero(pair.privateKey);
    return pair.publicKey;
  },
  // libsodium's private key is the seed and the public key: the caller knows both, and need not wait for the latter.
  sign(seedAndPublicKey, message) {
    const signature = sodium.crypto_sign_detached(message, seedAndPublicKey);
    sodium.memzero(seedAndPublicKey);
    return signature;
  },
  // libsodium's rules are RFC 8032's, without the cofactor, and refuse keys of small order.
  verify: (pub, message, signature) => sodium.crypto_sign_verify_detached(signature, message, pub),
};

/** @type {Signature} */
const ed448Scheme = {
  publicKey: (priv) => ed448.getPublicKey(priv),
  sign: (priv, message) => ed448.sign(message, priv),
  verify: (pub, message, signature) => ed448.verify(signature, message, pub, { zip215: false }),
};

/**
 * Points of the NIST curves travel uncompressed (RFC 9180 §7.1.1, RFC 8446 §4.2.8.2); noble takes other forms too.
 *
 * @param {WeierstrassCurve} curve
 * @param {Uint8Array} point
 */
function requireUncompressed(curve, point) {
  if (point.length !== curve.lengths.publicKeyUncompressed || point[0] !== 4) {
    throw new RangeError("the public key is no uncompressed point");
  }
}

/**
 * @param {WeierstrassCurve} curve
 * @param {number} Nsk octets of a private key
 * @returns {Dh}
 */
function nistDh(curve, Nsk) {
  return {
    Nsk,
    Npk: 2 * Nsk + 1,
    publicKey: (priv) => curve.getPublicKey(priv, false),
    shared(priv, pub) {
      requireUncompressed(curve, pub);
      // RFC 9180 §4.1: the shared secret is the x-coordinate alone.
      return curve.getSharedSecret(priv, pub, true).slice(1);
    },
  };
}

/**
 * @param {WeierstrassCurve} curve with the hash that the suite uses for ECDSA as its own
 * @returns {Signature}
 */
function ecdsa(curve) {
  // OpenSSL makes signatures with either sign of s; refusing the high one would refuse half of them.
  return {
    publicKey: (priv) => curve.getPublicKey(priv, false),
    sign: (priv, message) => curve.sign(message, priv, { format: "der", lowS: false }),
    verify(pub, message, signature) {
      requireUncompressed(curve, pub);
      return curve.verify(signature, message, pub, { format: "der", lowS: false });
    },
  };
}

/** @type {Record<string, Aead>} */
const AEADS = {
  AES_128_GCM: aesGcm(16),
  AES_256_GCM: aesGcm(32),
  ChaCha20Poly1305: chacha20Poly1305,
};
/** @type {Record<string, Dh>} */
const KEMS = {
  DHKEM_P256_HKDF_SHA256: nistDh(p256, 32),
  DHKEM_P384_HKDF_SHA384: nistDh(p384, 48),
  DHKEM_P521_HKDF_SHA512: nistDh(p521, 66),
  DHKEM_X25519_HKDF_SHA256: x25519,
  DHKEM_X448_HKDF_SHA512: x448Dh,
};
/** @type {Record<string, Signature>} */
const SIGNATURE_SCHEMES = {
  ed25519,
  ed448: ed448Scheme,
  ecdsa_secp256r1_sha256: ecdsa(p256),
  ecdsa_secp384r1_sha384: ecdsa(p384),
  ecdsa_secp521r1_sha512: ecdsa(p521),
};

/**
 * Many key agreements in one call.
 *
 * @param {Dh} dh
 * @param {Uint8Array} privs private keys, one behind the other
 * @param {Uint8Array} pubs as many public keys of peers
 * @returns {Uint8Array} for each pair the public key of the private one, and the shared secret
 */
function encapsulateAll(dh, privs, pubs) {
  const { Nsk, Npk } = dh;
  const count = privs.length / Nsk;
  /** @type {Uint8Array[]} */
  const agreed = [];
  for (let index = 0; index < count; index += 1) {
    const priv = privs.subarray(index * Nsk, (index + 1) * Nsk);
    agreed.push(dh.publicKey(priv), dh.shared(priv, pubs.subarray(index * Npk, (index + 1) * Npk)));
  }
  const octets = new Uint8Array(agreed.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of agreed) {
    octets.set(part, at);
    at += part.length;
  }
  return octets;
}

/**
 * @template T
 * @param {() => T} operation
 * @returns {T | undefined}
 */
function orUndefined(operation) {
  try {
    return operation();
  } catch {
    return undefined;
  }
}

/**
 * Make the primitives ready.
 *
 * @returns {Promise<Primitives>}
 *
 * @typedef {Readonly<{
 *   aeadSeal(aead: string, ...args: Parameters<AeadFunction>): OctetsOrFault,
 *   aeadOpen(aead: string, ...args: Parameters<AeadFunction>): OctetsOrFault,
 *   aesCtr(key: Uint8Array, block: Uint8Array, data: Uint8Array): OctetsOrFault,
 *   dhPublicKey(kem: string, priv: Uint8Array): OctetsOrFault,
 *   dh(kem: string, priv: Uint8Array, pub: Uint8Array): OctetsOrFault,
 *   encapsulateAll(kem: string, privs: Uint8Array, pubs: Uint8Array): OctetsOrFault,
 *   signaturePublicKey(scheme: string, priv: Uint8Array): OctetsOrFault,
 *   sign(scheme: string, priv: Uint8Array, message: Uint8Array): OctetsOrFault,
 *   verify(scheme: string, ...args: SignedMessage): boolean | undefined,
 *   verifyAll(scheme: string, messages: SignedMessage[]): boolean | undefined,
 * }>} Primitives
 */
export async function loadPrimitives() {
  await sodium.ready;
  return Object.freeze({
    aeadSeal: (aead, key, nonce, aad, text) => orUndefined(() => AEADS[aead].seal(key, nonce, aad, text)),
    aeadOpen: (aead, key, nonce, aad, text) => orUndefined(() => AEADS[aead].open(key, nonce, aad, text)),
    aesCtr: (key, block, data) => orUndefined(() => aesCtr(key, block, data)),
    dhPublicKey: (kem, priv) => orUndefined(() => KEMS[kem].publicKey(priv)),
    dh: (kem, priv, pub) => orUndefined(() => KEMS[kem].shared(priv, pub)),
    encapsulateAll: (kem, privs, pubs) => orUndefined(() => encapsulateAll(KEMS[kem], privs, pubs)),
    signaturePublicKey: (scheme, priv) => orUndefined(() => SIGNATURE_SCHEMES[scheme].publicKey(priv)),
    sign: (scheme, priv, message) => orUndefined(() => SIGNATURE_SCHEMES[scheme].sign(priv, message)),
    verify: (scheme, pub, message, signature) =>
      orUndefined(() => SIGNATURE_SCHEMES[scheme].verify(pub, message, signature)),
    verifyAll: (scheme, messages) =>
      orUndefined(() => messages.every((signed) => SIGNATURE_SCHEMES[scheme].verify(...signed))),
  });
}
