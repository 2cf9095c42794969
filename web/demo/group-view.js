/**
 * The group on the page: messages, state, members, SRTP keys.
 *
 * @import { Client, Group } from "../src/index.js"
 * @import { GroupChange, GroupDetails, SrtpKeys, SrtpProfile } from "../src/protocol.js"
 */
import { changes } from "./changes.js";
import { requireDelivered } from "./deliveries.js";
import { breakable, byId, during, element, grouped, hex, showProblem } from "./dom.js";

/**
 * @typedef {{ kind: "own" | "other" | "notice", from: string, text: string, ways?: string[][] }} Line
 * @typedef {{ group: Group, details: GroupDetails, lines: Line[] }} Entry
 */

const MASK = "•••• •••• •••• ••••";

/** Every group of one client, of which one is shown. */
export class GroupView {
  #client;
  /** @type {Map<string, Entry>} */
  #entries = new Map();
  /** @type {Map<string, Promise<void>>} groups of an earlier visit, until it is known how they stand */
  #opening = new Map();
  /** @type {Entry | undefined} */
  #shown;
  #revealed = false;
  #view = byId("group", HTMLElement);
  #messages = byId("messages", HTMLOListElement);
  #onchange;

  /**
   * @param {Client} client
   * @param {() => void} onchange called when a group came or went
   */
  constructor(client, onchange) {
    this.#client = client;
    this.#onchange = onchange;
    this.#listen();
    this.#wire();
  }

  /** The group that is shown. */
  get current() {
    return this.#shown?.group;
  }

  /**
   * @param {Group} group
   * @param {GroupDetails} details
   * @param {string} notice
   */
  show(group, details, notice) {
    const key = hex(group.id);
    const entry = this.#entries.get(key) ?? { group, details, lines: [] };
    this.#entries.set(key, entry);
    entry.lines.push({ kind: "notice", from: "", text: notice });
    this.#select(entry);
    this.#onchange();
  }

  /**
   * Show a group of an earlier visit; what is told of it meanwhile waits until it is there.
   *
   * @param {Group} group
   * @returns {Promise<void>}
   */
  reopen(group) {
    const opening = group.details().then((details) => {
      this.#opening.delete(hex(group.id));
      this.show(group, details, "You were here before.");
    });
    this.#opening.set(hex(group.id), opening);
    return opening;
  }

  /**
   * @param {string} identity
   */
  async add(identity) {
    await this.#change((group) => group.add(identity));
  }

  /**
   * @param {(group: Group) => Promise<GroupChange>} change
   */
  async #change(change) {
    const entry = this.#shown;
    if (entry === undefined) return;
    const { deliveries, ...details } = await change(entry.group);
    this.#update(entry, details);
    requireDelivered(deliveries);
  }

  #listen() {
    this.#on("message", async ({ group, sender, text, data, via }) => {
      await this.#opening.get(hex(group.id));
      const entry = this.#entries.get(hex(group.id));
      if (entry === undefined) return;
      this.#append(entry, { kind: "other", from: sender, text: text ?? `${data.length} octets, no text`, ways: [via] });
    });
    this.#on("epoch", ({ group, ...details }) => {
      const entry = this.#entries.get(hex(group.id));
      if (entry !== undefined) this.#update(entry, details);
    });
    this.#on("removed", ({ group }) => {
      const entry = this.#entries.get(hex(group.id));
      if (entry === undefined) return;
      this.#append(entry, { kind: "notice", from: "", text: "You were removed from this group." });
      this.#entries.delete(hex(group.id));
      this.#draw();
      this.#onchange();
    });
  }

  /**
   * @param {string} name
   * @param {(detail: any) => void} handle
   */
  #on(name, handle) {
    this.#client.addEventListener(name, (event) => handle(/** @type {CustomEvent} */ (event).detail));
  }

  #wire() {
    const message = byId("message", HTMLInputElement);
    onSubmit("message-form", "send", "message-error", async () => {
      const entry = this.#shown;
      const text = message.value;
      if (entry === undefined || text === "") return;
      const { deliveries } = await entry.group.send(text);
      message.value = "";
      this.#append(entry, { kind: "own", from: this.#client.identity, text, ways: deliveries.map(({ via }) => via) });
      requireDelivered(deliveries);
    });
    const address = byId("add-identity", HTMLInputElement);
    onSubmit("add-form", "add", "members-error", async () => {
      await this.add(address.value.trim());
      address.value = "";
    });
    const update = byId("update", HTMLButtonElement);
    update.onclick = () =>
      during(update, byId("members-error", HTMLElement), () => this.#change((group) => group.update()));
    const reveal = byId("reveal", HTMLButtonElement);
    reveal.onclick = () => {
      this.#revealed = !this.#revealed;
      reveal.textContent = this.#revealed ? "Hide" : "Reveal";
      void this.#drawKeys();
    };
    byId("srtp-profile", HTMLSelectElement).onchange = () => void this.#drawKeys();
    byId("group-select", HTMLSelectElement).onchange = (event) => {
      const select = /** @type {HTMLSelectElement} */ (event.currentTarget);
      const entry = this.#entries.get(select.value);
      if (entry !== undefined) this.#select(entry);
    };
  }

  /** @param {Entry} entry */
  #select(entry) {
    this.#shown = entry;
    this.#messages.replaceChildren(...entry.lines.map(renderLine));
    this.#draw();
  }

  /**
   * @param {Entry} entry
   * @param {GroupDetails} details
   */
  #update(entry, details) {
    if (details.epoch <= entry.details.epoch) return;
    for (const notice of changes(entry.details, details)) this.#append(entry, { kind: "notice", from: "", text: notice });
    entry.details = details;
    if (entry === this.#shown) this.#draw();
  }

  /**
   * @param {Entry} entry
   * @param {Line} line
   */
  #append(entry, line) {
    entry.lines.push(line);
    if (entry !== this.#shown) return;
    this.#messages.append(renderLine(line));
    this.#messages.scrollTop = this.#messages.scrollHeight;
  }

  #draw() {
    const entry = this.#shown;
    if (entry === undefined) return;
    const { details, group } = entry;
    const member = this.#entries.has(hex(group.id));
    const focused = this.#view.contains(document.activeElement) ? document.activeElement : null;
    document.body.classList.add("in-group");
    this.#view.hidden = false;
    this.#view.dataset.member = String(member);
    for (const control of this.#view.querySelectorAll("form input, form button, #update, #reveal")) {
      control.toggleAttribute("disabled", !member);
    }
    byId("safety-number", HTMLOutputElement).textContent = details.safetyNumber;
    byId("group-id", HTMLElement).textContent = hex(details.groupId);
    byId("epoch", HTMLElement).textContent = String(details.epoch);
    byId("cipher-suite", HTMLElement).replaceChildren(...breakable(details.cipherSuiteName));
    byId("members", HTMLUListElement).replaceChildren(...details.members.map((one) => this.#renderMember(one, member)));
    this.#drawChoice();
    if (focused !== null) this.#keepFocus(focused);
    void this.#drawKeys();
  }

  /**
   * Who works by keyboard goes on where they were, or nearby: not at the top of the page.
   *
   * @param {Element} focused what had the focus before the group was drawn anew
   */
  #keepFocus(focused) {
    if (focused.isConnected && !focused.matches(":disabled")) return;
    const identity = /** @type {HTMLElement | null} */ (focused.closest("[data-identity]"))?.dataset.identity;
    const drawn = [...this.#view.querySelectorAll("#members button")].find(
      (button) => /** @type {HTMLElement} */ (button.parentElement).dataset.identity === identity,
    );
    const nearby = drawn ?? this.#view.querySelector("#add-identity:enabled") ?? this.#messages;
    /** @type {HTMLElement} */ (nearby).focus({ focusVisible: true });
  }

  #drawChoice() {
    const select = byId("group-select", HTMLSelectElement);
    const selected = this.#shown && hex(this.#shown.group.id);
    select.replaceChildren(
      ...[...this.#entries].map(([key, { details }]) => {
        const names = details.members.map(({ identity }) => identity).join(", ");
        return element("option", { value: key, selected: key === selected }, `${key.slice(0, 8)} · ${names}`);
      }),
    );
    byId("group-choice", HTMLElement).hidden = this.#entries.size < 2;
  }

  async #drawKeys() {
    const entry = this.#shown;
    const place = byId("srtp-keys", HTMLUListElement);
    const problem = byId("srtp-error", HTMLElement);
    if (entry === undefined || !this.#entries.has(hex(entry.group.id))) return place.replaceChildren();
    const profile = /** @type {SrtpProfile} */ (byId("srtp-profile", HTMLSelectElement).value);
    try {
      const keys = await entry.group.exportSrtpKeys({ profile });
      // Another group may have been chosen meanwhile.
      if (entry !== this.#shown) return;
      showProblem(problem);
      place.dataset.profile = profile;
      place.dataset.epoch = String(entry.details.epoch);
      place.replaceChildren(...keys.map((key) => renderKeys(key, this.#revealed)));
    } catch (error) {
      showProblem(problem, error);
    }
  }

  /**
   * @param {GroupDetails["members"][number]} member
   * @param {boolean} removable
   */
  #renderMember(member, removable) {
    const { identity, leafIndex, fingerprint, self } = member;
    const who = element(
      "div",
      { class: "who" },
      element("span", { class: "mono strong" }, identity + (self ? " (you)" : "")),
      element("span", { class: "quiet mono" }, `leaf ${leafIndex} · ${grouped(fingerprint.slice(0, 16))}`),
    );
    const item = element("li", { "data-identity": identity, "data-leaf": String(leafIndex) }, who);
    if (!self && removable) {
      const button = element("button", { class: "small", type: "button", "data-testid": "remove" }, "Remove");
      button.setAttribute("aria-label", `Remove ${identity}`);
      button.onclick = () =>
        during(button, byId("members-error", HTMLElement), () => this.#change((group) => group.remove(identity)));
      item.append(button);
    }
    return item;
  }
}

/**
 * @param {string} formId
 * @param {string} buttonId
 * @param {string} problemId
 * @param {() => Promise<void>} action
 */
function onSubmit(formId, buttonId, problemId, action) {
  byId(formId, HTMLFormElement).onsubmit = (event) => {
    event.preventDefault();
    void during(byId(buttonId, HTMLButtonElement), byId(problemId, HTMLElement), action);
  };
}

/** @param {Line} line */
function renderLine({ kind, from, text, ways = [] }) {
  if (kind === "notice") return element("li", { class: "notice" }, text);
  const attributes = { class: kind, "data-from": from, "data-text": text };
  const item = element("li", attributes, element("span", { class: "from" }, kind === "own" ? "You" : from), text);
  const distinct = new Set(ways.filter((via) => via.length > 0).map((via) => via.join(" → ")));
  if (distinct.size > 0) {
    item.append(element("span", { class: "via", "data-via": [...distinct].join(", ") }, `via ${[...distinct].join(", ")}`));
  }
  return item;
}

/**
 * @param {SrtpKeys} keys
 * @param {boolean} revealed
 */
function renderKeys({ identity, leafIndex, key, salt, mki }, revealed) {
  const secret = (/** @type {string} */ name, /** @type {Uint8Array} */ octets) =>
    element(
      "div",
      {},
      element("dt", {}, name),
      element("dd", { class: "mono", "data-secret": name }, revealed ? grouped(hex(octets)) : MASK),
    );
  return element(
    "li",
    { "data-identity": identity, "data-leaf": String(leafIndex) },
    element(
      "div",
      { class: "row between" },
      element("span", { class: "mono strong" }, identity),
      element("span", { class: "quiet mono" }, `MKI ${hex(mki)}`),
    ),
    element("dl", { class: "facts" }, secret("key", key), secret("salt", salt)),
  );
}
