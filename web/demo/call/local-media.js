/**
 * What we send: of a camera and a microphone, or made by the page.
 *
 * @import { MediaKind } from "../../src/call-types.js"
 */
import { testPicture, testTone } from "./test-picture.js";

/** @typedef {"camera" | "test"} Source */
/** @typedef {{ track: MediaStreamTrack, close: () => void }} Held */

const CONSTRAINTS = Object.freeze({
  audio: true,
  video: { width: { ideal: 640 }, height: { ideal: 360 }, frameRate: { ideal: 20 } },
});

/** Our sound and picture, each of which can be turned off and on. */
export class LocalMedia {
  #source;
  #name;
  /** @type {Map<MediaKind, Held>} what is on */
  #held = new Map();

  /**
   * @param {Source} source
   * @param {() => string} name of whose they are, for the test picture
   */
  constructor(source, name) {
    this.#source = source;
    this.#name = name;
  }

  /** Told when a device has gone away. @type {(kind: MediaKind) => void} */
  onended = () => {};

  /** Where they are from. */
  get source() {
    return this.#source;
  }

  /** One's own picture is seen as in a mirror; one with letters in it could not be read so. */
  get mirrored() {
    return this.#source === "camera";
  }

  /**
   * What is on.
   *
   * @param {MediaKind} kind
   * @returns {MediaStreamTrack | null}
   */
  track(kind) {
    return this.#held.get(kind)?.track ?? null;
  }

  /** The tracks that are on, together. */
  get stream() {
    return new MediaStream([...this.#held.values()].map(({ track }) => track));
  }

  /**
   * Turn both on. Of a camera and a microphone, one is enough.
   *
   * @throws {DOMException} as `getUserMedia`: `NotAllowedError`, `NotFoundError`, `NotReadableError`
   */
  async open() {
    if (this.#source === "test") {
      await this.turnOn("audio");
      await this.turnOn("video");
      return;
    }
    try {
      const stream = await devices().getUserMedia(CONSTRAINTS);
      for (const track of stream.getTracks()) this.#hold(/** @type {MediaKind} */ (track.kind), track);
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== "NotFoundError") throw error;
      const outcomes = await Promise.allSettled([this.turnOn("audio"), this.turnOn("video")]);
      if (outcomes.every(({ status }) => status === "rejected")) throw error;
    }
  }

  /**
   * @param {MediaKind} kind
   * @throws {DOMException}
   */
  async turnOn(kind) {
    if (this.#held.has(kind)) return;
    if (this.#source === "test") {
      this.#held.set(kind, kind === "video" ? testPicture(this.#name) : testTone(this.#name));
      return;
    }
    const stream = await devices().getUserMedia({ [kind]: CONSTRAINTS[kind] });
    for (const track of stream.getTracks()) this.#hold(kind, track);
  }

  /**
   * Turn it off, and the device with it, so that its lamp goes out.
   *
   * @param {MediaKind} kind
   */
  turnOff(kind) {
    this.#held.get(kind)?.close();
    this.#held.delete(kind);
  }

  /** Turn both off. */
  close() {
    for (const kind of [...this.#held.keys()]) this.turnOff(kind);
  }

  /**
   * @param {MediaKind} kind
   * @param {MediaStreamTrack} track
   */
  #hold(kind, track) {
    this.#held.set(kind, { track, close: () => track.stop() });
    // Not when we stop it ourselves: that is no event.
    track.onended = () => {
      this.turnOff(kind);
      this.onended(kind);
    };
  }
}

function devices() {
  // Without a secure context there are none.
  if (navigator.mediaDevices === undefined) {
    throw new Error("The browser gives camera and microphone only to pages that came by HTTPS, or from this machine. Take the test picture and tone, or open the page by HTTPS.");
  }
  return navigator.mediaDevices;
}
