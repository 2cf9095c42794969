/**
 * The page on which several implementations of MLS hold one group.
 *
 * @import { RatchetTree } from "../src/protocol.js"
 * @import { Sent, Standing } from "./interop/shared-group.js"
 */
import { byId, during, element, hex, showProblem } from "./dom.js";
import { engine } from "./engine.js";
import { column } from "./interop/columns.js";
import { decodedMessage, summary } from "./interop/decoded.js";
import { implementations } from "./interop/implementations.js";
import { octets } from "./interop/octets.js";
import { play } from "./interop/scenario.js";
import { SharedGroup } from "./interop/shared-group.js";
import { logMessage, logStep } from "./interop/wire-log.js";
import { drawnTree } from "./ratchet-tree.js";
import { startVectorsCard } from "./vectors-card.js";

const all = implementations();
const there = all.filter(({ missing }) => missing === undefined);
const group = new SharedGroup(there, { onsent, onstep });
/** @type {{ groupId: string, tree: RatchetTree } | undefined} the one that is drawn */
let drawn;
let busy = false;

/** @param {Sent} sent */
async function onsent(sent) {
  const mls = await engine();
  await logMessage(sent, (message) => mls.decode(message));
}

/** @param {Standing} standing */
async function onstep(standing) {
  const { step, agreement, beliefs } = standing;
  logStep(step, agreement);
  const place = byId("standing", HTMLElement);
  place.textContent = `${agreement.agreed ? "✓" : "✗"} ${agreement.words}`;
  place.dataset.state = agreement.agreed ? "agreed" : "differing";
  await drawTree(standing.groupInfos);
  await drawColumns(beliefs);
}

/** @param {Standing["beliefs"]} beliefs */
async function drawColumns(beliefs) {
  const columns = await Promise.all(all.map((one) => column(one, group, beliefs.get(one.id), act)));
  byId("columns", HTMLElement).replaceChildren(...columns);
}

/** @param {Map<string, Uint8Array>} groupInfos */
async function drawTree(groupInfos) {
  const mls = await engine();
  const place = byId("tree", HTMLElement);
  const source = byId("tree-source", HTMLElement);
  /** @type {[string, RatchetTree][]} */
  const trees = [];
  for (const [id, groupInfo] of groupInfos) trees.push([id, await mls.ratchetTree(groupInfo)]);
  const [first] = trees;
  if (first === undefined) {
    place.replaceChildren();
    drawn = undefined;
    source.textContent = "None of the present members shows its tree to the page.";
    return;
  }
  const [, tree] = first;
  const groupId = hex(tree.groupContext?.groupId ?? new Uint8Array());
  const previous = drawn?.groupId === groupId ? drawn.tree : undefined;
  const hashes = new Set(trees.map(([, { groupContext }]) => hex(groupContext?.treeHash ?? new Uint8Array())));
  const same = hashes.size === 1 ? "with the same tree hash" : "with different tree hashes";
  const names = trees.map(([id]) => id).join(" and ");
  source.textContent = `As ${names} ${trees.length === 1 ? "shows" : "show"} it${trees.length === 1 ? "" : `, ${same}`}; epoch ${tree.groupContext?.epoch}.`;
  place.replaceChildren(drawnTree(tree, { previous }));
  drawn = { groupId, tree };
}

/**
 * Run what a button started, if nothing else is under way: a group does one thing after the other.
 *
 * @param {HTMLButtonElement} button
 * @param {() => Promise<unknown>} action
 */
function act(button, action) {
  if (busy) return;
  busy = true;
  byId("main", HTMLElement).setAttribute("aria-busy", "true");
  byId("played", HTMLElement).hidden = true;
  void during(button, byId("group-problem", HTMLElement), async () => {
    try {
      await action();
    } finally {
      busy = false;
      byId("main", HTMLElement).removeAttribute("aria-busy");
    }
  });
}

/** @param {string[]} creators */
async function playFor(creators) {
  const everyone = there.map(({ id }) => id);
  let steps = 0;
  for (const creator of creators) steps += await play(group, creator, everyone);
  const played = byId("played", HTMLElement);
  played.hidden = false;
  played.textContent = `${steps} steps, created by ${creators.join(", then ")}: all members agreed after each.`;
}

async function decodeOwn() {
  const place = byId("decoded", HTMLElement);
  place.replaceChildren();
  const message = await (await engine()).decode(octets(byId("octets", HTMLTextAreaElement).value));
  place.replaceChildren(element("p", { class: "strong" }, summary(message)), decodedMessage(message));
}

const creator = byId("creator", HTMLSelectElement);
creator.append(...there.map(({ id, title }) => element("option", { value: id }, title)));
const playButton = byId("play", HTMLButtonElement);
const eachButton = byId("play-each", HTMLButtonElement);
const decodeButton = byId("decode", HTMLButtonElement);
playButton.addEventListener("click", () => act(playButton, () => playFor([creator.value])));
eachButton.addEventListener("click", () => act(eachButton, () => playFor(there.map(({ id }) => id))));
byId("decode-form", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  void during(decodeButton, byId("decode-problem", HTMLElement), decodeOwn);
});
startVectorsCard(engine);
await drawColumns(new Map());
creator.disabled = playButton.disabled = eachButton.disabled = decodeButton.disabled = false;
try {
  await engine();
} catch (error) {
  showProblem(byId("group-problem", HTMLElement), error);
}
