/** The group's safety number, as digits and as pictures, for people to compare aloud. */
import { element } from "../dom.js";
import { EMOJI } from "./emoji.js";

/** Pictures for each group of five digits: 64³ is more than 100,000, so they say all that the digits say. */
const PICTURES = 3;

/**
 * The pictures of one group of digits.
 *
 * @param {string} digits five of them
 * @returns {(readonly [picture: string, name: string])[]}
 */
export function picturesOf(digits) {
  const places = [...Array(PICTURES).keys()].reverse();
  return places.map((place) => {
    const found = EMOJI[Math.floor(Number(digits) / EMOJI.length ** place) % EMOJI.length];
    return /** @type {readonly [string, string]} */ (found);
  });
}

/**
 * Rows of five digits and the three pictures that say the same.
 *
 * @param {string} safetyNumber groups of five digits
 * @returns {HTMLElement[]}
 */
export function safetyRows(safetyNumber) {
  return safetyNumber.split(" ").map((digits) =>
    element(
      "li",
      {},
      element("span", { class: "digits mono strong" }, digits),
      ...picturesOf(digits).map(([picture, name]) =>
        element("span", { class: "picture" }, element("span", { class: "emoji", "aria-hidden": "true" }, picture), element("span", { class: "name" }, name)),
      ),
    ),
  );
}
