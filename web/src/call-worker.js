/**
 * The worker of a call: every frame that is sent or received goes through it, and is encrypted or decrypted on its way. One worker
 * serves all connections, since all of a member's frames share one key and so one counter.
 *
 * @import { EncodedFrame, EpochKeys, FrameCounts, FrameEvent, FrameRequest, FrameStream, Transformer } from "./call-protocol.js"
 */
import { BaseKeys, FORMATS, OwnFrames, PeerFrames } from "./call-frames.js";
import { MLSError } from "./errors.js";
import { release } from "./sframe-key.js";

/** How long frames wait for a key that is not there yet, in milliseconds. */
const KEY_WAIT = 1000;
/** How many frames of one stream are under way at most; later ones are let fall. */
const UNDER_WAY = 120;
/** How often at most a key frame is asked for, in milliseconds. */
const KEY_FRAME_INTERVAL = 500;

/**
 * A stream of frames, and what has become of them.
 *
 * @typedef {object} Flow
 * @property {FrameStream} about
 * @property {FrameCounts} counts
 * @property {Transformer | undefined} transformer
 * @property {number} underWay frames that wait, or are worked on
 * @property {number} lastPassed when a frame went on last; 0: none has
 * @property {number} askedForKeyFrame when a key frame was asked for last
 */

const base = new BaseKeys();
const own = new OwnFrames();
/** @type {Map<number, PeerFrames>} by connection */
const peers = new Map();
/** @type {Map<number, Flow>} by stream */
const flows = new Map();
/** @type {Set<number>} connections whose frames are not decrypted any more */
const refused = new Set();
/** Counts the keys that came; those of an epoch never replace later ones, however long either took to be derived. */
let turns = 0;
let turnInUse = 0;

/** @param {FrameEvent} event */
const tell = (event) => postMessage(event);

/**
 * @param {unknown} error
 * @param {number} [connection]
 */
function tellFault(error, connection) {
  const { code, message, details } =
    error instanceof MLSError ? error : new MLSError("internal-error", `The worker of the call failed: ${error}`);
  tell({ type: "fault", fault: { code, message, details }, ...(connection === undefined ? {} : { connection }) });
}

/** @param {FrameStream} about */
function peerOf({ connection, leafIndex }) {
  let peer = peers.get(connection);
  if (peer === undefined) peers.set(connection, (peer = new PeerFrames(base, leafIndex)));
  return peer;
}

/**
 * Ask for a frame that can be decoded without earlier ones, since some were let fall.
 *
 * @param {Flow} flow
 */
function askForKeyFrame(flow) {
  const { about, transformer } = flow;
  const now = performance.now();
  if (about.media !== "video" || now - flow.askedForKeyFrame < KEY_FRAME_INTERVAL) return;
  flow.askedForKeyFrame = now;
  const asked = about.direction === "send" ? transformer?.generateKeyFrame?.() : transformer?.sendKeyFrameRequest?.();
  // It is refused while nothing is encoded or received, and then it is not needed; the decoder itself asks, too, though later.
  asked?.catch(() => flow.counts.keyFramesRefused++);
}

/**
 * @param {Flow} flow
 * @param {EncodedFrame} frame
 * @returns {Promise<Uint8Array<ArrayBuffer>>} what goes on in its place
 */
async function worked({ about }, frame) {
  const { media, direction, connection } = about;
  const { mimeType } = frame.getMetadata();
  if (mimeType !== undefined && mimeType.toLowerCase() !== FORMATS[media]) {
    throw new MLSError("unsupported-codec", `Frames of ${mimeType} cannot be encrypted, only those of ${FORMATS[media]}.`, { mimeType });
  }
  const octets = new Uint8Array(frame.data);
  if (direction === "send") return own.protect(media, octets);
  if (refused.has(connection)) throw new MLSError("not-a-participant", "The sender is no longer in the call.");
  return peerOf(about).open(media, octets, KEY_WAIT);
}

/**
 * @param {Flow} flow
 * @param {MLSError} error why a frame does not go on
 */
function refuse(flow, error) {
  const { about, counts } = flow;
  counts.refused++;
  const first = counts.reasons[error.code] === undefined;
  counts.reasons[error.code] = (counts.reasons[error.code] ?? 0) + 1;
  if (first && error.code === "unsupported-codec") tellFault(error, about.connection);
  // Chromium sends packets again to find out how much the network carries, so that a frame of one packet comes again: nothing is missing.
  if (error.code !== "replayed-frame") askForKeyFrame(flow);
}

/**
 * @param {Flow} flow
 * @param {number} octets that go on
 */
function pass(flow, octets) {
  const { counts } = flow;
  const now = performance.now();
  if (flow.lastPassed > 0) counts.longestGap = Math.max(counts.longestGap, now - flow.lastPassed);
  flow.lastPassed = now;
  counts.passed++;
  if (counts.passed === 1) tell({ type: "flowing", stream: flow.about.stream });
  counts.octets += octets;
}

/**
 * Take frames as they come, work on several at once, and hand them on in their order.
 *
 * @param {FrameStream} about
 * @param {ReadableStream} readable
 * @param {WritableStream} writable
 * @param {Transformer} [transformer]
 */
async function run(about, readable, writable, transformer) {
  const counts = { ...about, seen: 0, passed: 0, refused: 0, octets: 0, longestGap: 0, keyFramesRefused: 0, reasons: {} };
  /** @type {Flow} */
  const flow = { about, counts, transformer, underWay: 0, lastPassed: 0, askedForKeyFrame: -KEY_FRAME_INTERVAL };
  flows.set(about.stream, flow);
  tell({ type: "attached", stream: about.stream });
  const reader = /** @type {ReadableStreamDefaultReader<EncodedFrame>} */ (readable.getReader());
  const writer = writable.getWriter();
  let ended = false;
  // A connection that is closed ends its streams, on either side first.
  writer.closed.then(
    () => (ended = true),
    () => (ended = true),
  );
  let earlier = Promise.resolve();
  while (!ended) {
    const { done, value: frame } = await reader.read();
    if (done) break;
    counts.seen++;
    if (flow.underWay >= UNDER_WAY) {
      refuse(flow, new MLSError("overloaded", "More frames came than could be worked on."));
      continue;
    }
    flow.underWay++;
    const work = worked(flow, frame);
    // Its outcome is looked at in its turn, which may be later than it fails.
    const settled = work.then(
      (octets) => octets,
      (error) => (error instanceof MLSError ? error : new MLSError("internal-error", String(error))),
    );
    earlier = earlier.then(async () => {
      const outcome = await settled;
      flow.underWay--;
      if (ended) return;
      if (outcome instanceof MLSError) return refuse(flow, outcome);
      frame.data = outcome.buffer;
      pass(flow, outcome.length);
      await writer.write(frame).catch(() => (ended = true));
      // The browser has taken a copy, or the memory itself.
      if (outcome.length > 0) release(outcome.buffer);
    });
  }
  await earlier;
}

/**
 * @param {FrameStream} about
 * @param {ReadableStream} readable
 * @param {WritableStream} writable
 * @param {Transformer} [transformer]
 */
function start(about, readable, writable, transformer) {
  run(about, readable, writable, transformer).catch((error) => {
    // A stream may end with an error when its connection is closed; else frames no longer go through, and the call has to know.
    if (flows.has(about.stream)) tellFault(error, about.connection);
  });
}

/**
 * @param {EpochKeys} keys
 * @param {number} switchDelay
 */
async function add(keys, switchDelay) {
  const turn = ++turns;
  base.add(keys);
  const first = own.counters.length === 0;
  const change = await own.add(keys);
  const use = () => {
    if (turn < turnInUse) return;
    turnInUse = turn;
    const key = change();
    if (key === undefined) return;
    tell({ type: "sending", key });
    for (const flow of flows.values()) if (flow.about.direction === "send") askForKeyFrame(flow);
  };
  // Others get the keys of a new epoch a little later than we do, or earlier.
  if (first) use();
  else setTimeout(use, switchDelay);
}

/** @param {MessageEvent<FrameRequest>} event */
function receive({ data }) {
  switch (data.type) {
    case "keys":
      add(data.keys, data.switchDelay).catch((error) => tellFault(error));
      break;
    case "erase":
      base.erase(data.epoch);
      own.erase(data.epoch);
      for (const peer of peers.values()) peer.erase(data.epoch);
      break;
    case "streams":
      start(data.frameStream, data.readable, data.writable);
      break;
    case "refuse":
      refused.add(data.connection);
      break;
    case "close":
      refused.add(data.connection);
      peers.delete(data.connection);
      for (const [stream, { about }] of flows) if (about.connection === data.connection) flows.delete(stream);
      break;
    case "count": {
      const streams = [...flows.values()].map(({ counts }) => ({
        ...counts,
        reasons: { ...counts.reasons },
        keyId: counts.direction === "receive" ? peers.get(counts.connection)?.keyId : undefined,
      }));
      for (const { counts } of flows.values()) counts.longestGap = 0;
      tell({ type: "counts", request: data.request, streams, counters: own.counters });
      break;
    }
  }
}

addEventListener("message", receive);
addEventListener("rtctransform", (event) => {
  const { transformer } = /** @type {Event & { transformer: Transformer }} */ (event);
  start(transformer.options, transformer.readable, transformer.writable, transformer);
});
