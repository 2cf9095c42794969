/**
 * A column for each implementation: what it believes, and what it can do.
 *
 * @import { Implementation } from "./member.js"
 * @import { Belief, SharedGroup } from "./shared-group.js"
 */
import { element, grouped, hex, sentence } from "../dom.js";

// Octets of a fingerprint: enough to see whether two are the same.
const FINGERPRINT_OCTETS = 8;
const SHOWN_MESSAGES = 4;

/** @typedef {(button: HTMLButtonElement, action: () => Promise<unknown>) => void} Act */

/**
 * @param {Implementation} implementation
 * @param {SharedGroup} group
 * @param {Belief | undefined} belief undefined if it is not in the group
 * @param {Act} act
 * @returns {Promise<HTMLElement>}
 */
export async function column(implementation, group, belief, act) {
  const { id, title, description, missing } = implementation;
  const state = missing !== undefined ? "missing" : belief === undefined ? "out" : "member";
  return element(
    "section",
    { class: "card implementation", "data-implementation": id, "data-state": state, "aria-labelledby": `column-${id}` },
    element("h2", { id: `column-${id}` }, title),
    element("p", { class: "quiet" }, description),
    element("p", { class: "chip", "data-state": state === "member" ? "connected" : "off" }, STATES[state]),
    ...(missing !== undefined ? [element("p", { class: "missing" }, missing)] : []),
    ...(belief === undefined ? [] : [await facts(belief)]),
    ...(group.heard(id).length > 0 ? [heard(group.heard(id))] : []),
    ...(missing !== undefined ? [] : [actions(id, group, belief !== undefined, act)]),
  );
}

/** @param {string[]} read */
const heard = (read) =>
  element(
    "div",
    {},
    element("p", { class: "label" }, "Has read"),
    element("ul", { class: "heard" }, ...read.slice(-SHOWN_MESSAGES).map((words) => element("li", {}, words))),
  );

const STATES = { missing: "Not in this browser", out: "Not in the group", member: "Member" };

/** @param {Belief} belief */
async function facts(belief) {
  if ("fault" in belief) return element("p", { class: "problem" }, sentence(belief.fault));
  const { epoch, members, exported, epochAuthenticator } = belief;
  // What is exported is a secret; what is shown of it must not be.
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(exported)));
  return element(
    "dl",
    { class: "facts" },
    ...fact("Epoch", "epoch", String(epoch)),
    ...fact("Members", "members", members.join(", ")),
    ...fact("Exported secret", "exported", fingerprint(digest), "SHA-256 of it, the first octets"),
    ...fact(
      "Epoch authenticator",
      "authenticator",
      epochAuthenticator === undefined ? "does not tell" : fingerprint(epochAuthenticator),
    ),
  );
}

/** @param {Uint8Array} octets */
const fingerprint = (octets) => `${grouped(hex(octets.subarray(0, FINGERPRINT_OCTETS)))} …`;

/**
 * @param {string} name
 * @param {string} key
 * @param {string} value
 * @param {string} [title]
 */
function fact(name, key, value, title = "") {
  return [
    element(
      "div",
      {},
      element("dt", { title }, name),
      element("dd", { class: key === "epoch" || key === "members" ? "" : "mono", "data-fact": key }, value),
    ),
  ];
}

/**
 * @param {string} id
 * @param {SharedGroup} group
 * @param {boolean} isMember
 * @param {Act} act
 */
function actions(id, group, isMember, act) {
  /**
   * @param {string} label
   * @param {() => Promise<unknown>} action
   */
  const button = (label, action) => {
    const made = element("button", { type: "button", class: "small" }, label);
    made.addEventListener("click", () => act(made, action));
    return made;
  };
  if (!isMember) {
    if (group.members.length > 0) return element("p", { class: "quiet" }, "A member can add it.");
    return element("div", { class: "row" }, button("Create a group", () => group.create(id)));
  }
  const buttons = [
    ...group.others.map((other) => button(`Add ${other}`, () => group.add(id, other))),
    ...group.members.filter((other) => other !== id).map((other) => button(`Remove ${other}`, () => group.remove(id, other))),
    ...(group.canUpdate(id) ? [button("Renew keys", () => group.update(id))] : []),
  ];
  const input = element("input", { "aria-label": `What ${id} says`, placeholder: "Say something", autocomplete: "off" });
  const send = element("button", { type: "submit", class: "small" }, "Send");
  const form = element("form", { class: "composer", novalidate: true }, input, send);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    act(send, () => group.send(id, input.value || "Hello"));
  });
  return element("div", { class: "actions" }, element("div", { class: "row" }, ...buttons), form);
}
