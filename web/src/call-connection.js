/**
 * The connection to one participant: one `RTCPeerConnection`, whose descriptions go through the group, and whose frames go through the
 * worker of the call from the first one on.
 *
 * @import { Told } from "./call-protocol.js"
 * @import { MediaKind } from "./call-types.js"
 * @import { FrameWorker } from "./call-transforms.js"
 */
import { requireFormats } from "./call-signals.js";
import { MLSError } from "./errors.js";

/** How long candidates are gathered into the description, in milliseconds. */
const GATHERING = 500;
/** How long later candidates are collected, in milliseconds. */
const COLLECTING = 200;
/** How long the worker may take to get hold of a sender's frames, in milliseconds. */
const ATTACHING = 5000;
/** How often a connection that has failed is tried again. */
const RESTARTS = 3;

const KINDS = /** @type {const} */ (["audio", "video"]);

/**
 * @typedef {object} Surroundings what a connection is made with
 * @property {number} number names it
 * @property {number} leafIndex of the participant
 * @property {FrameWorker} worker
 * @property {RTCConfiguration} configuration
 * @property {() => Record<MediaKind, MediaStreamTrack | null>} tracks what is sent at present
 * @property {(told: Told) => void} tell hands something to the participant
 * @property {() => void} onchange called when it was connected, or is no longer
 * @property {(error: MLSError) => void} onfailure called when it cannot go on
 */

/**
 * A sender, and the stream of the worker that its frames go through.
 *
 * @typedef {object} Sending
 * @property {RTCRtpSender} sender
 * @property {number} stream
 * @property {MediaKind} media
 * @property {boolean} proven whether a frame has gone through the worker
 * @property {MediaStreamTrack | null} placeholder what is sent until then
 */

/** A connection to one participant, in one session of theirs and ours. */
export class Connection {
  #around;
  #connection;
  /** @type {Sending[]} */
  #sending = [];
  /** What is done with it, one thing after the other. */
  #queue = Promise.resolve();
  /** @type {RTCIceCandidateInit[]} found after the description was sent */
  #late = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #collecting;
  /** @type {RTCIceCandidateInit[]} come before the description */
  #early = [];
  #described = false;
  /** Whether the participant has our description. */
  #announced = false;
  #offers = false;
  #restarts = 0;
  #closed = false;

  /** What comes from the participant. */
  stream = new MediaStream();

  /** @param {Surroundings} around */
  constructor(around) {
    this.#around = around;
    // Without this member of Chromium's, a sender whose transform comes late sends in the clear.
    const configuration = /** @type {RTCConfiguration} */ ({ ...around.configuration, encodedInsertableStreams: true });
    this.#connection = new RTCPeerConnection(configuration);
    this.#connection.addEventListener("icecandidate", ({ candidate }) => this.#onCandidate(candidate));
    this.#connection.addEventListener("connectionstatechange", () => this.#onState());
  }

  /** Names it. */
  get number() {
    return this.#around.number;
  }

  /** Whether media can flow. */
  get connected() {
    return this.#connection.connectionState === "connected";
  }

  /**
   * What the browser has counted of each sender.
   *
   * @returns {Promise<{ media: MediaKind, stream: number, report: RTCStatsReport }[]>} `stream`: of the worker
   */
  async reports() {
    try {
      const each = this.#closed ? [] : this.#sending;
      return await Promise.all(each.map(async ({ media, stream, sender }) => ({ media, stream, report: await sender.getStats() })));
    } catch (error) {
      if (this.#closed) return [];
      throw error;
    }
  }

  /** Begin: make the offer. */
  offer() {
    this.#offers = true;
    this.#inTurn(() => this.#offer(false));
  }

  /**
   * @param {string} description the participant's offer
   */
  takeOffer(description) {
    this.#inTurn(async () => {
      requireFormats(description);
      await this.#connection.setRemoteDescription({ type: "offer", sdp: description });
      // In the turn in which they came to be: nothing has been sent or received by then.
      for (const transceiver of this.stream.getTracks().length === 0 ? this.#connection.getTransceivers() : []) {
        transceiver.direction = "sendrecv";
        this.#attach(/** @type {MediaKind} */ (transceiver.receiver.track.kind), transceiver);
      }
      await this.#takeEarly();
      this.#announced = false;
      await this.#connection.setLocalDescription(await this.#connection.createAnswer());
      await this.#gathered();
      this.#tellDescription("answer");
    });
  }

  /** @param {string} description the participant's answer */
  takeAnswer(description) {
    this.#inTurn(async () => {
      if (this.#connection.signalingState !== "have-local-offer") return;
      requireFormats(description);
      await this.#connection.setRemoteDescription({ type: "answer", sdp: description });
      await this.#takeEarly();
    });
  }

  /** @param {RTCIceCandidateInit[]} candidates of the participant */
  takeCandidates(candidates) {
    this.#inTurn(async () => {
      this.#early.push(...candidates);
      if (this.#described) await this.#takeEarly();
    });
  }

  /**
   * Send this track from now on, or nothing.
   *
   * @param {MediaKind} media
   * @param {MediaStreamTrack | null} track
   */
  setTrack(media, track) {
    const sending = this.#sending.find((one) => one.media === media);
    // Else it is set as soon as the worker has got hold of the sender.
    if (sending === undefined || this.#closed) return;
    sending.placeholder?.stop();
    sending.placeholder = null;
    if (!sending.proven && track !== null) {
      // Black, or silent: if frames pass the worker by after all, there is nothing in them.
      sending.placeholder = track.clone();
      sending.placeholder.enabled = false;
    }
    sending.sender.replaceTrack(sending.placeholder ?? track).catch((error) => {
      this.#fail(new MLSError("connection-failed", `The ${media} could not be exchanged: ${error}.`));
    });
  }

  /** Send nothing any more, at once. */
  silence() {
    for (const { sender } of this.#sending) sender.replaceTrack(null).catch(() => this.close());
  }

  /** End it. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#collecting);
    for (const { placeholder } of this.#sending) placeholder?.stop();
    this.#connection.close();
    this.#around.worker.close(this.number);
  }

  /** @param {boolean} iceRestart */
  async #offer(iceRestart) {
    if (this.#connection.getTransceivers().length === 0) {
      for (const media of KINDS) this.#attach(media, this.#connection.addTransceiver(media, { direction: "sendrecv" }));
    }
    this.#announced = false;
    await this.#connection.setLocalDescription(await this.#connection.createOffer({ iceRestart }));
    await this.#gathered();
    this.#tellDescription("offer");
  }

  /**
   * Have the frames of both directions go through the worker, and send nothing before it has them.
   *
   * @param {MediaKind} media
   * @param {RTCRtpTransceiver} transceiver
   */
  #attach(media, { sender, receiver }) {
    const { number: connection, leafIndex, worker } = this.#around;
    const { stream, attached, flowing } = worker.attach(sender, { connection, leafIndex, media, direction: "send" });
    worker.attach(receiver, { connection, leafIndex, media, direction: "receive" });
    this.stream.addTrack(receiver.track);
    const late = setTimeout(() => {
      this.#fail(new MLSError("unprotected-media", `The worker of the call does not get the ${media}, so it is not sent.`, { media }));
    }, ATTACHING);
    void attached.then(() => {
      clearTimeout(late);
      if (this.#closed) return;
      /** @type {Sending} */
      const sending = { sender, stream, media, proven: false, placeholder: null };
      this.#sending.push(sending);
      this.setTrack(media, this.#around.tracks()[media]);
      void flowing.then(() => {
        sending.proven = true;
        this.setTrack(media, this.#around.tracks()[media]);
      });
    });
  }

  /**
   * Do things in turn; what fails ends the connection.
   *
   * @param {() => Promise<unknown>} action
   */
  #inTurn(action) {
    this.#queue = this.#queue.then(async () => {
      if (this.#closed) return;
      try {
        await action();
      } catch (error) {
        // It may have been closed meanwhile, which whatever waits for it then fails with.
        if (this.#closed) return;
        this.#fail(error instanceof MLSError ? error : new MLSError("connection-failed", `The connection could not be made: ${error}.`));
      }
    });
  }

  /** @param {MLSError} error */
  #fail(error) {
    if (!this.#closed) this.#around.onfailure(error);
  }

  async #takeEarly() {
    this.#described = true;
    for (const candidate of this.#early.splice(0)) {
      await this.#connection.addIceCandidate(candidate).catch((error) => {
        // One that is of an earlier description, or that this browser cannot use: there are others.
        if (!(error instanceof DOMException) || error.name !== "OperationError") throw error;
      });
    }
  }

  /** @param {"offer" | "answer"} kind */
  #tellDescription(kind) {
    const description = this.#connection.localDescription?.sdp;
    // What was found so far is in it.
    this.#late = [];
    if (description !== undefined) this.#around.tell({ kind, description });
    this.#announced = true;
  }

  /** @param {RTCIceCandidate | null} candidate */
  #onCandidate(candidate) {
    if (candidate === null || !this.#announced) return;
    this.#late.push(candidate.toJSON());
    this.#collecting ??= setTimeout(() => {
      this.#collecting = undefined;
      const candidates = this.#late.splice(0);
      if (candidates.length > 0) this.#around.tell({ kind: "candidates", candidates });
    }, COLLECTING);
  }

  /** Until all candidates are found, or it takes long. */
  async #gathered() {
    const connection = this.#connection;
    if (connection.iceGatheringState === "complete") return;
    await new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        connection.removeEventListener("icegatheringstatechange", changed);
        resolve(undefined);
      };
      const changed = () => connection.iceGatheringState === "complete" && done();
      const timer = setTimeout(done, GATHERING);
      connection.addEventListener("icegatheringstatechange", changed);
    });
  }

  #onState() {
    if (this.#closed) return;
    const state = this.#connection.connectionState;
    if (state === "connected") this.#restarts = 0;
    if (state === "failed" && this.#offers && this.#restarts++ < RESTARTS) this.#inTurn(() => this.#offer(true));
    this.#around.onchange();
  }
}
