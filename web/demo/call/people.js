/**
 * Who is in the room, who waits at its door, and letting people in and out.
 *
 * @import { Participant } from "../../src/call-types.js"
 * @import { Group } from "../../src/index.js"
 * @import { GroupDetails, Member } from "../../src/protocol.js"
 */
import { requireDelivered } from "../deliveries.js";
import { byId, during, element, grouped } from "../dom.js";
import { confirmed } from "./confirm.js";
import { explained } from "./problems.js";
import { standing } from "./tiles.js";


/** The list of people and the host's controls. */
export class People {
  #group;
  #identity;
  #isHost;
  /** @type {GroupDetails | undefined} */
  #details;
  /** @type {readonly Participant[]} */
  #participants = [];
  /** @type {string[]} */
  #knocking = [];
  #onsent;
  #reach;

  /**
   * @param {object} about
   * @param {Group} about.group
   * @param {string} about.identity our own
   * @param {boolean} about.isHost
   * @param {(ways: string[][]) => void} about.onsent told by which services a change went to the others
   * @param {(identity: string) => Promise<void>} about.reach sees to it that the delivery service of an address is known
   */
  constructor({ group, identity, isHost, onsent, reach }) {
    this.#group = group;
    this.#identity = identity;
    this.#isHost = isHost;
    this.#onsent = onsent;
    this.#reach = reach;
    this.#wire();
  }

  /** @param {GroupDetails} details */
  setDetails(details) {
    this.#details = details;
    this.#draw();
    this.#drawKnocking();
  }

  /** @param {readonly Participant[]} participants */
  setParticipants(participants) {
    this.#participants = participants;
    this.#draw();
  }

  /** @param {string[]} identities who wait, by what other tabs of this browser say */
  setKnocking(identities) {
    this.#knocking = identities;
    this.#drawKnocking();
  }

  /** @param {(group: Group) => ReturnType<Group["update"]>} change */
  async #change(change) {
    try {
      const { deliveries } = await change(this.#group);
      this.#onsent(deliveries.map(({ via }) => via));
      requireDelivered(deliveries);
    } catch (error) {
      throw explained(error);
    }
  }

  /** @param {string} identity */
  #add(identity) {
    return this.#change(async (group) => {
      await this.#reach(identity);
      return group.add(identity);
    });
  }

  #wire() {
    const form = byId("invite-form", HTMLFormElement);
    const address = byId("invite-address", HTMLInputElement);
    form.hidden = !this.#isHost;
    byId("invite-hint", HTMLElement).hidden = !this.#isHost;
    form.onsubmit = (event) => {
      event.preventDefault();
      void during(byId("let-in", HTMLButtonElement), byId("invite-error", HTMLElement), async () => {
        const identity = address.value.trim();
        if (identity === "") throw new Error("Type the address that they were shown, such as bob@b.example.");
        await this.#add(identity);
        // The next one may be typed already.
        if (address.value.trim() === identity) address.value = "";
      });
    };
    const renew = byId("renew", HTMLButtonElement);
    renew.onclick = () => during(renew, byId("call-error", HTMLElement), () => this.#change((group) => group.update()));
  }

  #draw() {
    const members = this.#details?.members ?? [];
    const list = byId("people", HTMLUListElement);
    const focused = list.contains(document.activeElement) ? document.activeElement?.closest("li")?.dataset.identity : undefined;
    list.replaceChildren(...members.map((member) => this.#item(member)));
    if (focused === undefined) return;
    // Who works by keyboard goes on where they were, or nearby.
    const again = /** @type {HTMLElement | null} */ (list.querySelector(`[data-identity="${CSS.escape(focused)}"] button`));
    (again ?? byId("invite-address", HTMLInputElement)).focus({ focusVisible: true });
  }

  /** @param {Member} member */
  #item(member) {
    const { identity, leafIndex, fingerprint, self } = member;
    const participant = this.#participants.find((one) => one.leafIndex === leafIndex);
    const state = self ? "You" : participant === undefined ? "Let in, and not in the call" : standing(participant).words;
    const who = element(
      "div",
      { class: "who" },
      element("span", { class: "mono strong" }, identity),
      element("span", { class: "quiet state" }, state),
      element("span", { class: "quiet" }, "Key ", element("span", { class: "mono" }, grouped(fingerprint.slice(0, 16)))),
    );
    const item = element("li", { "data-identity": identity, "data-leaf": String(leafIndex) }, who);
    if (self || !this.#isHost) return item;
    const remove = element("button", { type: "button", class: "small", "aria-label": `Remove ${identity}` }, "Remove");
    remove.onclick = () =>
      during(remove, byId("invite-error", HTMLElement), async () => {
        const sure = await confirmed({
          title: `Remove ${identity}?`,
          text: "The room gets new keys, which they do not have. They can hear, see and read nothing from then on.",
          action: "Remove",
        });
        if (sure) await this.#change((group) => group.remove(identity));
      });
    item.append(remove);
    return item;
  }

  #drawKnocking() {
    const members = new Set(this.#details?.members.map(({ identity }) => identity));
    const waiting = this.#isHost ? this.#knocking.filter((identity) => !members.has(identity) && identity !== this.#identity) : [];
    byId("knocks", HTMLElement).hidden = waiting.length === 0;
    byId("knock-list", HTMLUListElement).replaceChildren(
      ...waiting.map((identity) => {
        const button = element("button", { type: "button", class: "primary" }, `Let ${identity} in`);
        button.onclick = () =>
          during(button, byId("invite-error", HTMLElement), async () => {
            await this.#add(identity);
            byId("invite-address", HTMLInputElement).focus({ focusVisible: true });
          });
        return element("li", {}, button);
      }),
    );
  }
}
