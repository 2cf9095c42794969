// Bundled to /mls-federation/vendor/primitives.js: the third-party cryptography of the `webjs` provider.
export { ctr, gcm } from "@noble/ciphers/aes.js";
export { ed448, x448 } from "@noble/curves/ed448.js";
export { p256, p384, p521 } from "@noble/curves/nist.js";
export { default as sodium } from "libsodium-wrappers";
