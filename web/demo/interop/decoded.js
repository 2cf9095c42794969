/**
 * A decoded message as a list that opens, and in one line.
 *
 * @import { DecodedPart } from "../../src/protocol.js"
 */
import { element, grouped, hex } from "../dom.js";

// More octets than this are shown only when they are asked for.
const SHOWN_OCTETS = 12;
// Parts that are open at first, by depth.
const OPEN_LEVELS = 3;

/**
 * All fields of a message.
 *
 * @param {DecodedPart} message
 * @returns {HTMLElement}
 */
export function decodedMessage(message) {
  return element("ul", { class: "decoded" }, ...message.parts.map((part) => rendered(part, 1)));
}

/**
 * @param {DecodedPart} part
 * @param {number} depth
 * @returns {HTMLElement}
 */
function rendered(part, depth) {
  const item = element("li", { "data-kind": part.kind });
  const line = [
    element("span", { class: "part-name" }, part.name),
    element("span", { class: "part-type" }, part.type),
    ...shownValue(part),
  ];
  const size = element("span", { class: "part-size" }, `${part.size} ${part.size === 1 ? "octet" : "octets"}`);
  const notes = [];
  if (part.encrypted !== undefined) notes.push(element("p", { class: "encrypted" }, `Encrypted: ${part.encrypted}.`));
  if (part.fault !== undefined) notes.push(element("p", { class: "problem" }, `${part.fault.message} (${part.fault.code})`));
  if (part.omitted > 0) notes.push(element("p", { class: "quiet" }, `${part.omitted} more are left out.`));
  if (part.parts.length === 0) {
    item.append(element("div", { class: "part" }, ...line, size), ...notes);
    return item;
  }
  const below = element("ul", {}, ...part.parts.map((one) => rendered(one, depth + 1)));
  item.append(
    element("details", depth < OPEN_LEVELS ? { open: true } : {}, element("summary", { class: "part" }, ...line, size), ...notes, below),
  );
  return item;
}

/** @param {DecodedPart} part */
function shownValue({ kind, name, value, label, parts }) {
  if (kind === "absent") return [element("span", { class: "part-value quiet" }, "not there")];
  if (kind === "vector" && parts.length === 0) return [element("span", { class: "part-value quiet" }, "empty")];
  if (value instanceof Uint8Array) return shownOctets(value, name);
  if (value === undefined) return [];
  const words = label === undefined ? String(value) : `${label} (${value})`;
  return [element("span", { class: "part-value" }, words)];
}

/**
 * @param {Uint8Array} octets
 * @param {string} name
 */
function shownOctets(octets, name) {
  if (octets.length === 0) return [element("span", { class: "part-value quiet" }, "empty")];
  const shown = [];
  const words = name === "identity" || name === "application_data" ? readable(octets) : undefined;
  if (words !== undefined) shown.push(element("span", { class: "part-value" }, `“${words}”`));
  if (octets.length <= SHOWN_OCTETS) return [...shown, element("span", { class: "part-value mono" }, grouped(hex(octets)))];
  const start = `${grouped(hex(octets.subarray(0, SHOWN_OCTETS)))} …`;
  return [
    ...shown,
    element(
      "details",
      { class: "octets" },
      element("summary", { class: "mono" }, start),
      element("p", { class: "mono" }, grouped(hex(octets))),
    ),
  ];
}

/** @param {Uint8Array} octets */
function readable(octets) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(octets);
    return /^\P{Cc}+$/u.test(text) ? text : undefined;
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

/**
 * What a message is, in a few words.
 *
 * @param {DecodedPart} message
 */
export function summary(message) {
  const body = message.parts.at(-1);
  switch (body?.name) {
    case "key_package":
      return `KeyPackage of ${credentialOf(at(body, "leaf_node"))}`;
    case "welcome": {
      const count = at(body, "secrets")?.parts.length ?? 0;
      return `Welcome for ${count} new ${count === 1 ? "member" : "members"}`;
    }
    case "group_info":
      return `GroupInfo of epoch ${at(body, "group_context", "epoch")?.value}`;
    case "private_message":
      return `${capital(at(body, "content_type")?.label)} for epoch ${at(body, "epoch")?.value}, encrypted`;
    case "public_message":
      return publicSummary(body);
    default:
      return "A message of no known kind";
  }
}

/** @param {DecodedPart} body */
function publicSummary(body) {
  const kind = capital(at(body, "content", "content_type")?.label);
  const epoch = at(body, "content", "epoch")?.value;
  const sender = at(body, "content", "sender", "leaf_index")?.value;
  const from = sender === undefined ? "from outside" : `from leaf ${sender}`;
  const proposals = at(body, "content", "commit", "proposals")?.parts.map(proposalWords) ?? [];
  const path = at(body, "content", "commit", "path");
  if (path !== undefined && path.kind !== "absent") proposals.push("new keys for the sender’s path");
  return `${kind} in epoch ${epoch} ${from}${proposals.length > 0 ? `: ${proposals.join(", ")}` : ""}`;
}

/** @param {DecodedPart} proposalOrRef */
function proposalWords(proposalOrRef) {
  const proposal = at(proposalOrRef, "proposal");
  if (proposal === undefined) return "a proposal sent before";
  const body = proposal.parts.at(-1);
  switch (body?.name) {
    case "add":
      return `Add ${credentialOf(at(body, "key_package", "leaf_node"))}`;
    case "remove":
      return `Remove leaf ${at(body, "removed")?.value}`;
    default:
      return String(at(proposal, "proposal_type")?.label ?? "an unknown proposal");
  }
}

/** @param {DecodedPart | undefined} leaf */
function credentialOf(leaf) {
  const identity = at(leaf, "credential", "basic", "identity")?.value;
  return (identity instanceof Uint8Array && readable(identity)) || "somebody";
}

/**
 * The part at a path of names.
 *
 * @param {DecodedPart | undefined} part
 * @param {...string} names
 */
function at(part, ...names) {
  let found = part;
  for (const name of names) found = found?.parts.find((one) => one.name === name);
  return found;
}

/** @param {string | undefined} word */
const capital = (word = "something") => word.charAt(0).toUpperCase() + word.slice(1);
