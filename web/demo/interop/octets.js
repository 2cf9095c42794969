/** Octets as people write them, and what all members of the page's group are asked for. */

/** The purpose of the secret that members export, so that what they know can be compared. */
export const EXPORT_LABEL = "mls-federation interop page";

/** @param {string} digits hexadecimal; white space does not count */
export function octets(digits) {
  const compact = digits.replaceAll(/\s+/g, "").replace(/^0x/i, "");
  if (!/^([0-9a-f]{2})*$/i.test(compact)) {
    throw new Error("Hexadecimal octets are needed: two digits for each, from 0 to 9 and a to f.");
  }
  return Uint8Array.from(compact.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
