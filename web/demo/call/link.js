/** The link to a room: which group it is, and who lets people in. It holds no secret. */

/** @typedef {{ room: string, host: string }} Link `room`: the group's id, hexadecimal; `host`: an address */

/**
 * @param {string} hash of an address, with its `#`
 * @returns {Link | undefined} undefined if it names no room
 */
export function readLink(hash) {
  const given = new URLSearchParams(hash.slice(1));
  const room = given.get("room") ?? "";
  const host = given.get("host") ?? "";
  return /^([0-9a-f]{2})+$/.test(room) && /^[^@\s]+@[^@\s]+$/.test(host) ? { room, host } : undefined;
}

/**
 * @param {Link} link
 * @returns {string} the whole address
 */
export function linkTo({ room, host }) {
  const url = new URL(location.href);
  url.search = "";
  // An address reads better as it is than with its "@" escaped.
  url.hash = `room=${room}&host=${encodeURIComponent(host).replaceAll("%40", "@")}`;
  return url.href;
}

/**
 * A button that copies what a field shows.
 *
 * @param {HTMLButtonElement} button
 * @param {HTMLInputElement} field
 * @param {HTMLElement} status says that it was done
 */
export function wireCopy(button, field, status) {
  button.onclick = async () => {
    try {
      await navigator.clipboard.writeText(field.value);
      status.textContent = "Copied.";
    } catch {
      // Without the permission, the person can still do it.
      field.focus();
      field.select();
      status.textContent = "The browser did not let the page copy. It is selected: copy it yourself.";
    }
  };
}
