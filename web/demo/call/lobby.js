/**
 * Before the call: who one is, at which delivery service, and with what picture.
 *
 * @import { Link } from "./link.js"
 * @import { Source } from "./local-media.js"
 */
import { byId, during, element, showProblem } from "../dom.js";
import { LocalMedia } from "./local-media.js";
import { explained } from "./problems.js";

/** @typedef {{ name: string, domain: string, media: LocalMedia }} Choice */

/** The form, and what one looks like. */
export class Lobby {
  #name = byId("name", HTMLInputElement);
  #service = byId("service", HTMLSelectElement);
  #button = byId("enter", HTMLButtonElement);
  #video = byId("preview", HTMLVideoElement);
  /** @type {LocalMedia | undefined} */
  #media;

  /**
   * @param {Link | undefined} link by which the person came
   * @param {(choice: Choice) => Promise<void>} onenter
   */
  constructor(link, onenter) {
    const given = new URLSearchParams(location.search);
    this.#name.value ||= given.get("name") ?? "";
    byId("lobby-title", HTMLElement).textContent = link === undefined ? "Start a room" : "Come into the room";
    byId("lobby-text", HTMLElement).textContent =
      link === undefined
        ? "You get a link to send to the others, and let them in one by one."
        : `${link.host} has made it, and lets people in.`;
    this.#button.textContent = link === undefined ? "Start a room" : "Ask to be let in";
    byId("lobby-form", HTMLFormElement).onsubmit = (event) => {
      event.preventDefault();
      void this.run(async () => {
        const name = this.#name.value.trim();
        if (name === "") throw new Error("Type a name first.");
        await onenter({ name, domain: this.#service.value, media: await this.#open() });
      });
    };
    for (const radio of document.querySelectorAll('input[name="source"]')) {
      radio.addEventListener("change", () => void this.run(() => this.#preview()));
    }
    const on = byId("preview-on", HTMLButtonElement);
    on.onclick = () => void this.run(() => this.#preview());
  }

  /**
   * Do what the person has asked for; a problem is shown in the form.
   *
   * @param {() => Promise<void>} action
   */
  run(action) {
    return during(this.#button, byId("lobby-error", HTMLElement), async () => {
      try {
        await action();
      } catch (error) {
        throw explained(error);
      }
    });
  }

  /** @param {string[]} domains of the delivery services */
  setServices(domains) {
    const wanted = new URLSearchParams(location.search).get("service");
    this.#service.replaceChildren(...domains.map((domain) => element("option", { selected: domain === wanted }, domain)));
  }

  /** @param {string[]} identities whose keys this browser has */
  setKept(identities) {
    const buttons = identities.map((identity) => {
      const button = element("button", { type: "button", class: "small" }, identity);
      button.onclick = () => {
        const at = identity.lastIndexOf("@");
        this.#name.value = identity.slice(0, at);
        this.#service.value = identity.slice(at + 1);
        this.#button.focus({ focusVisible: true });
      };
      return element("li", {}, button);
    });
    byId("kept", HTMLElement).hidden = buttons.length === 0;
    byId("kept-list", HTMLUListElement).replaceChildren(...buttons);
  }

  /** The client is loaded. */
  enable() {
    this.#button.disabled = false;
    byId("loading", HTMLElement).hidden = true;
  }

  /** @param {{ received: number, total: number }} progress */
  showProgress({ received, total }) {
    const bar = byId("progress", HTMLProgressElement);
    bar.max = total;
    bar.value = received;
  }

  /** @param {unknown} error */
  fail(error) {
    byId("loading", HTMLElement).hidden = true;
    showProblem(byId("lobby-error", HTMLElement), explained(error));
  }

  /** @returns {Source} */
  get #source() {
    const radio = /** @type {HTMLInputElement} */ (document.querySelector('input[name="source"]:checked'));
    return /** @type {Source} */ (radio.value);
  }

  /** Show what the others would see. */
  async #preview() {
    this.#close();
    await this.#open();
  }

  /** @returns {Promise<LocalMedia>} with sound and picture on */
  async #open() {
    // Another source may be chosen while the browser asks for permission.
    while (this.#media?.source !== this.#source) {
      this.#close();
      const media = new LocalMedia(this.#source, () => this.#name.value.trim());
      await media.open();
      this.#media = media;
    }
    this.#show();
    return /** @type {LocalMedia} */ (this.#media);
  }

  #close() {
    this.#media?.close();
    this.#media = undefined;
    this.#show();
  }

  #show() {
    const media = this.#media;
    this.#video.srcObject = media?.stream ?? null;
    const frame = byId("preview-frame", HTMLElement);
    frame.classList.toggle("mirrored", media?.mirrored === true);
    frame.classList.toggle("blank", media === undefined);
  }
}
