/**
 * What people write beside the call: plain messages of the group.
 *
 * @import { Group } from "../../src/index.js"
 */
import { isCallMessage } from "/mls-federation/call.js";
import { requireDelivered } from "../deliveries.js";
import { byId, during, element } from "../dom.js";
import { explained } from "./problems.js";

/** The chat of one room. */
export class Chat {
  #list = byId("messages", HTMLOListElement);

  /**
   * @param {Group} group
   * @param {(ways: string[][]) => void} onsent told by which services a message went to the others
   * @param {AbortSignal} signal ends it
   */
  constructor(group, onsent, signal) {
    const field = byId("message", HTMLInputElement);
    byId("message-form", HTMLFormElement).onsubmit = (event) => {
      event.preventDefault();
      const text = field.value;
      if (text.trim() === "") return;
      void during(byId("send", HTMLButtonElement), byId("message-error", HTMLElement), async () => {
        try {
          const { deliveries } = await group.send(text);
          // The next one may be typed already.
          if (field.value === text) field.value = "";
          this.#append(element("li", { class: "own" }, element("span", { class: "from" }, "You"), text));
          onsent(deliveries.map(({ via }) => via));
          requireDelivered(deliveries);
        } catch (error) {
          throw explained(error);
        }
      });
    };
    const onmessage = (/** @type {Event} */ event) => {
      if (isCallMessage(event)) return;
      const { sender, text, data } = /** @type {CustomEvent} */ (event).detail;
      const words = text ?? `${data.length} octets, no text`;
      this.#append(element("li", { class: "other", "data-from": sender }, element("span", { class: "from" }, sender), words));
    };
    group.addEventListener("message", onmessage, { signal });
  }

  /**
   * Something that has happened in the room.
   *
   * @param {string} text
   */
  notice(text) {
    this.#append(element("li", { class: "notice" }, text));
  }

  /** @param {HTMLElement} item */
  #append(item) {
    this.#list.append(item);
    this.#list.scrollTop = this.#list.scrollHeight;
  }
}
