/**
 * How the call is encrypted, for those who want to see it: epoch, suites, key ids, frames, ways, and the ratchet tree.
 *
 * @import { Participant, SendingKey } from "../../src/call-types.js"
 * @import { Group, MLSFederation } from "../../src/index.js"
 * @import { GroupDetails, RatchetTree } from "../../src/protocol.js"
 */
import { breakable, byId, element, showProblem } from "../dom.js";
import { drawnTree } from "../ratchet-tree.js";

/** @param {bigint | null} keyId */
const shownKeyId = (keyId) => (keyId === null ? "none yet" : `0x${keyId.toString(16).padStart(4, "0")}`);

/** @param {string[]} via */
const shownWay = (via) => (via.length === 0 ? "had waited here" : via.join(" → "));

/** Draws the panel of one room. */
export class Insight {
  #mls;
  #group;
  #panel = byId("insight", HTMLDetailsElement);
  /** @type {GroupDetails | undefined} */
  #details;
  /** @type {RatchetTree | undefined} */
  #tree;
  /** @type {bigint | undefined} whose tree is drawn */
  #drawnEpoch;
  /** @type {Map<string, string>} the way of the last message, by identity of its sender */
  #ways = new Map();
  /** @type {readonly Participant[]} */
  #participants = [];
  #protected = 0n;

  /**
   * @param {MLSFederation} mls
   * @param {Group} group
   * @param {AbortSignal} signal ends it
   */
  constructor(mls, group, signal) {
    this.#mls = mls;
    this.#group = group;
    this.#panel.addEventListener("toggle", () => this.#panel.open && this.#drawTree(), { signal });
    const onmessage = (/** @type {Event} */ event) => {
      const { sender, via } = /** @type {CustomEvent} */ (event).detail;
      this.#ways.set(sender, shownWay(via));
      this.#drawRows();
    };
    group.addEventListener("message", onmessage, { signal });
    byId("own-way", HTMLElement).textContent = "nothing sent yet";
    byId("own-key-id", HTMLElement).textContent = shownKeyId(null);
  }

  /** @param {GroupDetails} details */
  setDetails(details) {
    this.#details = details;
    byId("epoch", HTMLElement).textContent = String(details.epoch);
    byId("member-count", HTMLElement).textContent = String(details.members.length);
    byId("cipher-suite", HTMLElement).replaceChildren(...breakable(details.cipherSuiteName));
    void this.#drawSFrameSuite();
    void this.#drawTree();
    this.#drawRows();
  }

  /** @param {SendingKey} key */
  setSending(key) {
    byId("own-key-id", HTMLElement).textContent = `${shownKeyId(key.keyId)} of epoch ${key.epoch}`;
  }

  /** @param {string[][]} ways by which something of ours went to the others */
  setOwnWays(ways) {
    const distinct = new Set(ways.map(shownWay));
    if (distinct.size > 0) byId("own-way", HTMLElement).textContent = [...distinct].join(", ");
  }

  /**
   * @param {readonly Participant[]} participants
   * @param {{ first: bigint, next: bigint }[]} [counters] how far our own keys were used
   */
  setParticipants(participants, counters) {
    this.#participants = participants;
    if (counters !== undefined) this.#protected = counters.reduce((sum, { first, next }) => sum + next - first, 0n);
    byId("frames-protected", HTMLElement).textContent = this.#protected.toLocaleString("en");
    this.#drawRows();
  }

  #drawRows() {
    const body = byId("frames", HTMLTableSectionElement);
    const rows = this.#participants.map(({ leafIndex, identity, keyId, framesProtected, framesOpened, framesRefused, refusals }) => {
      const why = Object.entries(refusals).map(([code, times]) => `${code} ${times}`);
      return [
        identity,
        String(leafIndex),
        shownKeyId(keyId),
        framesProtected.toLocaleString("en"),
        framesOpened.toLocaleString("en"),
        framesRefused === 0 ? "0" : `${framesRefused.toLocaleString("en")} (${why.join(", ")})`,
        this.#ways.get(identity) ?? "none yet",
      ];
    });
    byId("no-frames", HTMLElement).hidden = rows.length > 0;
    byId("frames-table", HTMLElement).hidden = rows.length === 0;
    // What is selected stays so: only what has changed is written.
    while (body.rows.length > rows.length) body.deleteRow(-1);
    for (const [index, cells] of rows.entries()) {
      const row = body.rows[index] ?? body.appendChild(newRow());
      for (const [place, text] of cells.entries()) {
        const cell = /** @type {HTMLTableCellElement} */ (row.cells[place]);
        if (cell.textContent !== text) cell.textContent = text;
      }
      row.dataset.identity = cells[0];
    }
  }

  async #drawSFrameSuite() {
    try {
      const { cipherSuite, baseKey, senderBits, epochBits } = await this.#group.exportSFrameKeys();
      // The page needs what they are called, and not the keys.
      baseKey.fill(0);
      const place = byId("sframe-suite", HTMLElement);
      place.replaceChildren(...breakable(cipherSuite), ` (key ids: ${epochBits} bits of the epoch, ${senderBits} of the leaf, and a context)`);
      showProblem(byId("insight-error", HTMLElement));
    } catch (error) {
      showProblem(byId("insight-error", HTMLElement), error);
    }
  }

  async #drawTree() {
    const epoch = this.#details?.epoch;
    if (!this.#panel.open || epoch === this.#drawnEpoch) return;
    this.#drawnEpoch = epoch;
    try {
      const tree = await this.#mls.ratchetTree(await this.#group.exportRatchetTree());
      if (epoch !== this.#drawnEpoch) return;
      byId("tree", HTMLElement).replaceChildren(drawnTree(tree, { previous: this.#tree }));
      this.#tree = tree;
    } catch (error) {
      showProblem(byId("insight-error", HTMLElement), error);
    }
  }
}

function newRow() {
  const cells = ["mono strong", "number", "mono", "number", "number", "number reasons", "mono"];
  const [first = "", ...others] = cells;
  return element("tr", {}, element("th", { scope: "row", class: first }), ...others.map((name) => element("td", { class: name })));
}
