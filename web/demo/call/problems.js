/** What went wrong in a call, and what a person can do about it. */
import { sentence } from "../dom.js";

/** By the code of an `MLSError`, or the name of a `DOMException`. @type {Readonly<Record<string, (words: string) => string>>} */
const WORDS = Object.freeze({
  NotAllowedError: () =>
    "The browser did not let this page use the camera and the microphone. Allow it beside the page’s address, or take the test picture and tone.",
  NotFoundError: () => "There is no camera and no microphone here. Connect one, or take the test picture and tone.",
  NotReadableError: () => "The camera or the microphone is in use by another program, or broken. Close that program, or take the test picture and tone.",
  "not-admitted": () =>
    "The name is taken: it belongs to somebody whose keys are in another browser. Choose another name, or another delivery service.",
  unreachable: (words) => `${words} Is that delivery service running? Try again, or choose another one.`,
  "unknown-identity": (words) => `${words} They have to open the link and ask to be let in first.`,
  "no-encoded-transforms": () =>
    "This browser cannot encrypt sound and picture before they are sent, so nothing was sent. Use Chromium, Chrome or Edge 94 or later, or Firefox 117 or later.",
  "unprotected-media": (words) => `${words} You have left the call; nothing more is sent.`,
  "worker-ended": (words) => `${words} Load the page again to go on in the room.`,
});

/** Why a call ended, and whether it makes sense to join it again. @type {Readonly<Record<string, string>>} */
const ENDED = Object.freeze({
  left: "You have left the call. You are still a member of the room: only its host can remove you from it.",
  removed:
    "The host has removed you from the room. It has new keys since, which you do not have: nothing that is said there from now on can be read here.",
});

/**
 * The same error in words of a call, where there are better ones.
 *
 * @param {unknown} error
 * @returns {unknown}
 */
export function explained(error) {
  if (!(error instanceof Error)) return error;
  const code = "code" in error && typeof error.code === "string" ? error.code : error.name;
  const words = WORDS[code];
  return words === undefined ? error : Object.assign(new Error(words(sentence(error))), { code });
}

/**
 * Why the call is over, in words.
 *
 * @param {string} reason of the event `ended`
 * @param {unknown} [error] that stopped it
 */
export function whyEnded(reason, error) {
  return ENDED[reason] ?? (error === undefined ? `The call has ended: ${reason}.` : sentence(explained(error)));
}
