/**
 * The list of all messages: who sent which, how large it is, what became of it, and all its fields.
 *
 * @import { DecodedPart } from "../../src/protocol.js"
 * @import { Agreement, Sent } from "./shared-group.js"
 */
import { byId, element, sentence } from "../dom.js";
import { decodedMessage, summary } from "./decoded.js";

let messages = 0;
/** @type {HTMLElement[]} those of the step under way */
let waiting = [];

/**
 * @param {Sent} sent
 * @param {(octets: Uint8Array) => Promise<DecodedPart>} decode
 */
export async function logMessage({ from, to, octets, outcomes }, decode) {
  messages += 1;
  const title = element("span", { class: "what" }, "…");
  const content = element("div", { class: "content" });
  try {
    const decoded = await decode(octets);
    title.textContent = summary(decoded);
    // Hundreds of elements that few look at are made when somebody does.
    const fill = () => {
      if (content.childElementCount === 0) content.append(decodedMessage(decoded));
    };
    waiting.push(entry(fill));
  } catch (error) {
    title.textContent = "Not to be decoded";
    content.append(element("p", { class: "problem" }, sentence(error)));
    waiting.push(entry(() => {}));
  }

  /** @param {() => void} ontoggle */
  function entry(ontoggle) {
    return element(
      "li",
      { class: "message", "data-from": from },
      element(
        "details",
        { toggle: ontoggle },
        element(
          "summary",
          {},
          element("span", { class: "number" }, String(messages)),
          element("span", { class: "direction" }, `${from} → ${to.join(", ") || "nobody else"}`),
          title,
          element("span", { class: "quiet" }, `${octets.length} octets`),
        ),
        element("ul", { class: "outcomes" }, ...Object.entries(outcomes).map(([id, words]) => outcome(id, words))),
        content,
      ),
    );
  }
}

/**
 * @param {string} id
 * @param {string} words
 */
const outcome = (id, words) =>
  element("li", { "data-outcome": words.startsWith("refused") ? "refused" : "good" }, `${id}: ${words}`);

/**
 * The step that the latest messages belong to, above those of the steps before.
 *
 * @param {string} step
 * @param {Agreement} agreement
 */
export function logStep(step, { agreed, words }) {
  byId("wire-empty", HTMLElement).hidden = true;
  byId("wire", HTMLElement).prepend(
    element(
      "li",
      { class: "step-entry", "data-agreed": String(agreed) },
      element("h3", {}, step),
      element("p", { class: "verdict" }, `${agreed ? "✓" : "✗"} ${words}`),
      element("ul", {}, ...waiting),
    ),
  );
  waiting = [];
}
