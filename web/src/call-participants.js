/**
 * A participant as the call keeps it.
 *
 * @import { FrameCounts } from "./call-protocol.js"
 * @import { Participant, ParticipantState } from "./call-types.js"
 * @import { Connection } from "./call-connection.js"
 * @import { Member } from "./protocol.js"
 * @import { Sent } from "./call-watch.js"
 */

/** After how long without a frame that decrypts a participant is said not to, in milliseconds. */
const SILENCE = 1000;

/**
 * @typedef {object} Entry
 * @property {{ -readonly [Name in keyof Participant]: Participant[Name] }} participant what the page sees of it
 * @property {Connection} connection
 * @property {ReturnType<typeof setTimeout> | undefined} timer until it must be connected
 * @property {number} lastOpened when a frame was decrypted last
 * @property {Map<number, Sent[]>} history of each stream that is sent, for the watch
 */

/**
 * @param {Member} member
 * @param {string} session
 * @param {Connection} connection
 * @returns {Entry}
 */
export function newEntry({ leafIndex, identity }, session, connection) {
  const participant = {
    leafIndex,
    identity,
    domain: identity.slice(identity.lastIndexOf("@") + 1),
    session,
    stream: connection.stream,
    state: /** @type {ParticipantState} */ ("connecting"),
    audio: false,
    video: false,
    framesProtected: 0,
    framesOpened: 0,
    framesRefused: 0,
    refusals: {},
    keyId: /** @type {bigint | null} */ (null),
    longestVideoGap: 0,
  };
  return { participant, connection, timer: undefined, lastOpened: 0, history: new Map() };
}

/**
 * @param {Record<string, number>[]} each
 * @returns {Record<string, number>}
 */
function sums(each) {
  /** @type {Record<string, number>} */
  const all = {};
  for (const [name, number] of each.flatMap((one) => Object.entries(one))) all[name] = (all[name] ?? 0) + number;
  return all;
}

/**
 * Bring its counts up to date.
 *
 * @param {Entry} entry
 * @param {FrameCounts[]} streams of all connections
 * @param {number} now
 * @returns {ParticipantState} what they say of its state
 */
export function count(entry, streams, now) {
  const { participant, connection } = entry;
  const ours = streams.filter((one) => one.connection === connection.number);
  const received = ours.filter(({ direction }) => direction === "receive");
  const opened = received.reduce((sum, { passed }) => sum + passed, 0);
  const refused = received.reduce((sum, one) => sum + one.refused, 0);
  const [hasOpened, hasRefused] = [opened > participant.framesOpened, refused > participant.framesRefused];
  participant.framesOpened = opened;
  participant.framesRefused = refused;
  participant.refusals = sums(received.map(({ reasons }) => reasons));
  participant.keyId = received.find(({ keyId }) => keyId !== undefined)?.keyId ?? participant.keyId;
  participant.framesProtected = ours.reduce((sum, { direction, passed }) => sum + (direction === "send" ? passed : 0), 0);
  const gaps = received.map(({ media, longestGap }) => (media === "video" ? longestGap : 0));
  participant.longestVideoGap = Math.max(participant.longestVideoGap, ...gaps);
  if (hasOpened) entry.lastOpened = now;
  if (!connection.connected) return participant.state;
  if (hasOpened) return "verified";
  return hasRefused && now - entry.lastOpened > SILENCE ? "cannot-decrypt" : participant.state;
}
