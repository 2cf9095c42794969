/**
 * Whether what a sender sends has gone through the worker: what the browser counts at the sender against what the worker has counted.
 *
 * @import { Entry } from "./call-participants.js"
 * @import { FrameCounts } from "./call-protocol.js"
 * @import { CounterRange, MediaKind } from "./call-types.js"
 * @import { FrameWorker } from "./call-transforms.js"
 */

/** Over how long made and encrypted frames are compared, in milliseconds; a busy machine lets a worker wait. */
const PATIENCE = 2000;
/** How far back is remembered, in milliseconds. */
const HISTORY = 3000;
/** Frames that are made in that time, at least, for it to count. */
const MADE = 8;

/**
 * What a sender has sent, as its browser counts, and its worker.
 *
 * @typedef {object} Sent
 * @property {number} time milliseconds
 * @property {number} made frames of video that were encoded, or packets of sound, each of which is a frame
 * @property {number} octets that were sent, with those that a browser adds to find out how much the network carries
 * @property {number} seen frames that had come to the worker after that
 * @property {number} seenBefore frames that had come to it before that, at the look before this one
 * @property {number} passed frames that the worker handed on, encrypted
 */

/**
 * @param {MediaKind} media
 * @param {RTCStatsReport} report of a sender
 * @param {FrameCounts} counts of its stream in the worker, asked for after the report was made: what the report has of it, they have, too
 * @param {number} seenBefore
 * @param {number} time
 * @returns {Sent}
 */
function sentBy(media, report, { seen, passed }, seenBefore, time) {
  const sent = { time, made: 0, octets: 0, seen, seenBefore, passed };
  for (const entry of report.values()) {
    if (entry.type !== "outbound-rtp") continue;
    sent.made += (media === "video" ? entry.framesEncoded : entry.packetsSent) ?? 0;
    sent.octets += entry.bytesSent ?? 0;
  }
  return sent;
}

/**
 * Whether a sender sends what its worker has not encrypted. A browser lets all frames of a sender pass its worker by, or none.
 *
 * @param {Sent[]} history of the sender, the latest last
 */
export function isUnprotected(history) {
  const now = /** @type {Sent} */ (history.at(-1));
  if (now.octets > 0 && now.passed === 0) return true;
  const then = history.findLast(({ time }) => now.time - time >= PATIENCE);
  if (then === undefined) return false;
  const made = now.made - then.made;
  // Of a page that stands still between a report and the worker's answer, the answer has many frames that the report has not.
  const seen = now.seen - then.seenBefore;
  return made >= MADE && 2 * seen < made;
}

/** @typedef {{ media: MediaKind, sent: Sent }} Unprotected */

/**
 * Look at all that is sent.
 *
 * @param {Entry[]} entries
 * @param {FrameWorker} worker
 * @returns {Promise<{ streams: FrameCounts[], counters: CounterRange[], unprotected: Unprotected | undefined }>} what the worker has
 *   counted, and what is sent that it has not encrypted
 */
export async function compare(entries, worker) {
  const reports = await Promise.all(
    entries.map(async (entry) => (await entry.connection.reports()).map((one) => ({ ...one, history: entry.history }))),
  );
  // Asked for after what it is compared with, so that whatever was sent by then is counted.
  const { streams, counters } = await worker.counts();
  const now = performance.now();
  /** @type {Unprotected | undefined} */
  let unprotected;
  for (const { history, media, stream, report } of reports.flat()) {
    const all = history.get(stream) ?? [];
    const past = all.filter(({ time }) => now - time < HISTORY);
    const counts = streams.find((one) => one.stream === stream);
    // The worker forgets a connection that was closed meanwhile.
    if (counts === undefined) continue;
    const sent = sentBy(media, report, counts, all.at(-1)?.seen ?? 0, now);
    history.set(stream, [...past, sent]);
    if (isUnprotected([...past, sent])) unprotected = { media, sent };
  }
  return { streams, counters, unprotected };
}
