/**
 * A key bundle, field by field.
 *
 * @import { KeyBundle, Named } from "../src/protocol.js"
 */
import { breakable, element, grouped, hex } from "./dom.js";

/**
 * @param {KeyBundle} bundle
 * @param {HTMLElement} invite what to do with it
 */
export function renderBundle(bundle, invite) {
  const { userInitKey, keyPackage } = bundle;
  const { credential } = userInitKey;
  const validity = `${date(keyPackage.notBefore)} to ${date(keyPackage.notAfter)}`;
  return element(
    "article",
    { class: "bundle", "data-testid": "bundle", "data-identity": bundle.identity },
    element(
      "div",
      { class: "row between" },
      element(
        "p",
        {},
        element("span", { class: "strong mono" }, bundle.identity),
        element("br", {}),
        element("span", { class: "quiet" }, `from the delivery service of ${bundle.domain}`),
      ),
      invite,
    ),
    element(
      "ul",
      { class: "verified", "data-testid": "verified", "aria-label": "What was verified" },
      ...bundle.verified.map((check) => element("li", {}, check)),
    ),
    ...(bundle.lastResort
      ? [element("p", { class: "warning" }, "Their single-use keys have run out: this set may have been used before.")]
      : []),
    element(
      "details",
      { open: true },
      element("summary", {}, "The bundle, decoded"),
      struct("UserInitKeyBundle", { identity: text(bundle.identity) }),
      struct("UserInitKey", {
        user_init_key_id: octets(userInitKey.userInitKeyId),
        cipher_suites: list(userInitKey.cipherSuites.map(named)),
        init_keys: list(userInitKey.initKeys.map(octets)),
        credential: list([
          text(`${credential.credentialType}: ${credential.identity}`),
          named(credential.signatureScheme),
          octets(credential.publicKey),
        ]),
        signature: octets(userInitKey.signature),
      }),
      struct("KeyPackage", {
        key_package_ref: octets(keyPackage.keyPackageRef),
        version: text(keyPackage.version),
        cipher_suite: named(keyPackage.cipherSuite),
        init_key: octets(keyPackage.initKey),
        encryption_key: octets(keyPackage.encryptionKey),
        signature_key: octets(keyPackage.signatureKey),
        lifetime: text(validity),
        signature: octets(keyPackage.signature),
      }),
    ),
  );
}

/**
 * @param {string} name
 * @param {Record<string, HTMLElement>} fields
 */
function struct(name, fields) {
  return element(
    "section",
    { "data-struct": name },
    element("h3", {}, name),
    element(
      "dl",
      { class: "facts struct" },
      ...Object.entries(fields).map(([field, value]) =>
        element("div", { "data-field": field }, element("dt", {}, field), element("dd", {}, value)),
      ),
    ),
  );
}

/** @param {string} value */
function text(value) {
  return element("span", { class: "mono" }, value);
}

/** @param {Uint8Array} value */
function octets(value) {
  const size = element("span", { class: "size" }, `${value.length} octets`);
  return element("span", { class: "mono", "data-hex": hex(value) }, grouped(hex(value)), " ", size);
}

/** @param {Named} value */
function named({ value, name }) {
  const code = `0x${value.toString(16).padStart(4, "0")}`;
  return element("span", { class: "mono" }, ...breakable(name), ` (${code})`);
}

/** @param {HTMLElement[]} items */
function list(items) {
  return element("span", { class: "nested" }, ...items);
}

/** @param {bigint} seconds Unix time */
function date(seconds) {
  return new Date(Number(seconds) * 1000).toISOString().slice(0, 16).replace("T", " ");
}
