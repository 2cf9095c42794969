/**
 * What members of a call say to each other: which application messages are meant for calls, and what in them can be used.
 *
 * @import { Signal } from "./call-protocol.js"
 * @import { MediaKind } from "./call-types.js"
 */
import { FORMATS } from "./call-frames.js";
import { MLSError } from "./errors.js";

/** Octets of a message, and candidates in one, at most. */
const LARGEST = 60_000;
const MOST_CANDIDATES = 100;
const SESSION = /^[0-9a-f]{16}$/;

/** A new session, 8 random octets in hexadecimal. */
export function newSession() {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (octet) => octet.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {string | undefined} text
 * @returns {Record<string, unknown> | undefined}
 */
function objectOf(text) {
  if (text === undefined || !text.startsWith("{")) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    // A person may write a brace.
    return undefined;
  }
}

/**
 * Whether a text belongs to a call, of this version or another.
 *
 * @param {string | undefined} text
 */
export const isSignal = (text) => typeof objectOf(text)?.["call"] === "number";

/**
 * What a text says, if it is a signal that can be used. Who it is from, only its message tells.
 *
 * @param {string | undefined} text
 * @returns {Signal | undefined}
 */
export function readSignal(text) {
  const said = text !== undefined && text.length <= LARGEST ? objectOf(text) : undefined;
  if (said === undefined || said["call"] !== 1 || typeof said["session"] !== "string" || !SESSION.test(said["session"])) return undefined;
  const { call, session, kind, to, peer, description, candidates, audio, video } = said;
  const addressed = Number.isInteger(to) && typeof peer === "string";
  const sends = { audio: audio === true, video: video === true };
  switch (kind) {
    case "leave":
      return { call, session, kind };
    case "join":
    case "state":
      return { call, session, kind, ...sends };
    case "here":
      return Number.isInteger(to) ? { call, session, kind, to: /** @type {number} */ (to), ...sends } : undefined;
    case "offer":
    case "answer":
      if (!addressed || typeof description !== "string") return undefined;
      return { call, session, kind, to: /** @type {number} */ (to), peer, description };
    case "candidates": {
      if (!addressed || !Array.isArray(candidates) || candidates.length > MOST_CANDIDATES) return undefined;
      const usable = candidates.filter((one) => typeof one?.candidate === "string");
      return { call, session, kind, to: /** @type {number} */ (to), peer, candidates: usable };
    }
    default:
      return undefined;
  }
}

/**
 * Refuse a description of other media than one of sound and one of pictures, or in which another format comes first: that is the one
 * that would be sent.
 *
 * @param {string} description SDP
 * @throws {MLSError} `unsupported-codec`, `bad-description`
 */
export function requireFormats(description) {
  const [, ...sections] = description.split(/^m=/m);
  const media = sections.map((section) => /** @type {MediaKind} */ (section.slice(0, section.indexOf(" "))));
  if (media.join() !== "audio,video") {
    throw new MLSError("bad-description", "A call has one stream of sound and one of pictures; the description has others.", { media });
  }
  for (const [index, section] of sections.entries()) {
    const wanted = FORMATS[/** @type {MediaKind} */ (media[index])];
    const payloadType = section.split(/\s/, 4)[3];
    const codec = new RegExp(`^a=rtpmap:${payloadType} ([\\w-]+)/`, "m").exec(section)?.[1]?.toLowerCase();
    if (!wanted.endsWith(`/${codec}`)) {
      const message = `A participant would use ${codec ?? "an unknown format"} for ${media[index]}; only Opus and VP8 can be encrypted.`;
      throw new MLSError("unsupported-codec", message, { codec: codec ?? "", media: media[index] });
    }
  }
}
