/**
 * The pictures of a call, one's own first.
 *
 * @import { Participant } from "../../src/call-types.js"
 * @import { LocalMedia } from "./local-media.js"
 */
import { domainOf } from "../directory.js";
import { element } from "../dom.js";
import { icon } from "./icons.js";
import { hueOf } from "./test-picture.js";

/**
 * @typedef {object} Tile
 * @property {HTMLLIElement} item
 * @property {HTMLVideoElement} video
 * @property {HTMLElement} badge
 * @property {HTMLElement} muted
 */

/** What a badge says in each state. */
const BADGES = Object.freeze({
  connecting: { words: "Connecting", picture: "wait", title: "The connection to this participant is being made." },
  "waiting-for-keys": { words: "Waiting for keys", picture: "wait", title: "Connected; none of their frames could be read yet." },
  silent: { words: "Nothing sent yet", picture: "wait", title: "Connected; they send neither sound nor picture." },
  verified: {
    words: "Encrypted and verified",
    picture: "lock",
    title: "Their frames decrypt with keys of the group, and are from the member of this address.",
  },
  "cannot-decrypt": { words: "Cannot be decrypted", picture: "warn", title: "Frames come that are not encrypted with keys that we have. They are not shown." },
  left: { words: "Has left", picture: "wait", title: "No longer in the call." },
});

/**
 * What is to be said of how it stands with a participant.
 *
 * @param {Participant} participant
 */
export function standing({ state, audio, video }) {
  return BADGES[state === "waiting-for-keys" && !audio && !video ? "silent" : state];
}

/** The tiles in a list. */
export class Tiles {
  #list;
  #onblocked;
  /** @type {Map<number, Tile>} the others', by leaf */
  #others = new Map();
  #own;

  /**
   * @param {HTMLOListElement} list
   * @param {string} identity our own
   * @param {() => void} onblocked told when the browser does not let sound be heard before somebody touches the page
   */
  constructor(list, identity, onblocked) {
    this.#list = list;
    this.#onblocked = onblocked;
    this.#own = newTile(identity, "own");
    this.#own.video.muted = true;
    this.#own.badge.remove();
    list.replaceChildren(this.#own.item);
    this.#count();
  }

  /** @param {LocalMedia} media */
  showOwn(media) {
    const { item, video } = this.#own;
    video.srcObject = media.stream;
    item.classList.toggle("mirrored", media.mirrored);
    setSends(this.#own, media.track("audio") !== null, media.track("video") !== null);
  }

  /**
   * A tile for a participant, or what has changed of it.
   *
   * @param {Participant} participant
   */
  show(participant) {
    const tile = this.#others.get(participant.leafIndex) ?? this.#add(participant);
    const { identity, state, stream, audio, video } = participant;
    if (tile.video.srcObject !== stream) {
      tile.video.srcObject = stream;
      void this.#play(tile.video);
    }
    const { words, picture, title } = standing(participant);
    tile.item.dataset.state = state;
    tile.badge.title = title;
    if (tile.badge.textContent !== words) tile.badge.replaceChildren(icon(picture), words);
    tile.video.setAttribute("aria-label", `Picture of ${identity}`);
    setSends(tile, audio, video);
    // Without keys there is nothing to be seen but black.
    tile.item.classList.toggle("blank", !video || state !== "verified");
  }

  /** @param {Participant} participant */
  remove({ leafIndex }) {
    this.#others.get(leafIndex)?.item.remove();
    this.#others.delete(leafIndex);
    this.#count();
  }

  /** Let what could not be heard be heard, since somebody has touched the page. */
  async unmute() {
    for (const { video } of this.#others.values()) {
      video.muted = false;
      await this.#play(video);
    }
  }

  /** No more sound or picture. */
  clear() {
    for (const { video } of [this.#own, ...this.#others.values()]) video.srcObject = null;
    this.#others.clear();
    this.#list.replaceChildren();
  }

  /** @param {Participant} participant */
  #add({ leafIndex, identity }) {
    const tile = newTile(identity, "other");
    this.#others.set(leafIndex, tile);
    this.#list.append(tile.item);
    this.#count();
    return tile;
  }

  /** @param {HTMLVideoElement} video */
  async #play(video) {
    try {
      await video.play();
    } catch (error) {
      // It may have been taken away again meanwhile, or another stream been set.
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError" || video.muted) return;
      video.muted = true;
      this.#onblocked();
      await this.#play(video);
    }
  }

  #count() {
    this.#list.dataset.count = String(this.#list.children.length);
  }
}

/**
 * @param {Tile} tile
 * @param {boolean} audio
 * @param {boolean} video
 */
function setSends({ item, muted }, audio, video) {
  item.dataset.audio = String(audio);
  item.dataset.video = String(video);
  item.classList.toggle("blank", !video);
  muted.hidden = audio;
}

/**
 * @param {string} identity
 * @param {"own" | "other"} kind
 * @returns {Tile}
 */
function newTile(identity, kind) {
  const name = identity.slice(0, identity.lastIndexOf("@"));
  const video = element("video", { autoplay: true, playsinline: true, "aria-label": kind === "own" ? "Your own picture" : `Picture of ${identity}` });
  const badge = element("span", { class: "badge" });
  const muted = element("span", { class: "muted", hidden: true }, icon("mic-off"), element("span", { class: "visually-hidden" }, "Muted"));
  const initial = element("span", { class: "initial", "aria-hidden": "true" }, name.charAt(0).toUpperCase());
  initial.style.setProperty("--hue", String(hueOf(name)));
  const item = element(
    "li",
    { class: `tile blank ${kind}`, "data-identity": identity },
    initial,
    video,
    element("div", { class: "above" }, badge),
    element(
      "div",
      { class: "below" },
      element(
        "span",
        { class: "who" },
        element("span", { class: "name" }, name),
        element("span", { class: "domain mono" }, `@${domainOf(identity)}`),
        ...(kind === "own" ? [element("span", { class: "you" }, "\u2002you")] : []),
      ),
      muted,
    ),
  );
  return { item, video, badge, muted };
}
