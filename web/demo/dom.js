/** Small helpers for building and finding elements. */

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function byId(id, type) {
  const found = document.getElementById(id);
  if (found instanceof type) return found;
  throw new TypeError(`there is no ${type.name} with the id ${id}`);
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | boolean | EventListener>} attributes a function is a listener for the event of its name
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** @param {Uint8Array} octets */
export function hex(octets) {
  return Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
}

/**
 * A long hexadecimal string in groups of four, so that people can compare it.
 *
 * @param {string} digits
 */
export function grouped(digits) {
  return (digits.match(/.{1,4}/g) ?? []).join(" ");
}

/**
 * A long name that may be broken after each underscore.
 *
 * @param {string} name
 */
export function breakable(name) {
  return name.split(/(?<=_)/).flatMap((part) => [part, element("wbr", {})]);
}

/**
 * What an error says, as a sentence. Addresses keep their first letter as it is.
 *
 * @param {unknown} error
 */
export function sentence(error) {
  const text = error instanceof Error ? error.message : String(error);
  const capital = /^[a-z]+ /.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}

/**
 * Show what went wrong where it happened, or, without an error, that nothing is wrong.
 *
 * @param {HTMLElement} place
 * @param {unknown} [error]
 */
export function showProblem(place, error) {
  place.hidden = error === undefined;
  place.textContent = error === undefined ? "" : sentence(error);
  place.dataset.code = error instanceof Error && "code" in error ? String(error.code) : "";
  for (const input of document.querySelectorAll(`[aria-describedby="${place.id}"]`)) {
    input.setAttribute("aria-invalid", String(error !== undefined));
  }
}

/**
 * Run what a button started: it can be pressed again only when that has ended, and a problem is shown in its place.
 *
 * @param {HTMLButtonElement} button
 * @param {HTMLElement} place
 * @param {() => Promise<void>} action
 */
export async function during(button, place, action) {
  // Not `disabled`: that would take the keyboard's focus away.
  if (button.getAttribute("aria-busy") === "true") return;
  button.setAttribute("aria-busy", "true");
  showProblem(place);
  try {
    await action();
  } catch (error) {
    showProblem(place, error);
  } finally {
    button.removeAttribute("aria-busy");
  }
}
