/**
 * A conference call of the members of a group.
 *
 * ```js
 * import { Call } from "/mls-federation/call.js";
 * const call = new Call(group, { stream: await navigator.mediaDevices.getUserMedia({ audio: true, video: true }) });
 * call.addEventListener("participant", ({ detail }) => show(detail.participant.stream));
 * await call.join();
 * ```
 *
 * Each participant has a connection to each other one (a mesh). What is needed to connect goes through the group as application
 * messages, so the fingerprints of the connections (DTLS) are authenticated by MLS; and each frame of media is encrypted with SFrame
 * (RFC 9605) under keys of the group's epoch.
 *
 * @import { Entry } from "./call-participants.js"
 * @import { Saying, Signal } from "./call-protocol.js"
 * @import { CallOptions, CallStatistics, CounterRange, EndReason, LeaveReason, MediaKind, Participant, ParticipantState, SendingKey } from "./call-types.js"
 * @import { Group } from "./group.js"
 * @import { MediaKeys } from "./media-keys.js"
 * @import { GroupDetails, Member } from "./protocol.js"
 */
import { Connection } from "./call-connection.js";
import { followKeys } from "./call-keys.js";
import { Members } from "./call-members.js";
import { count, newEntry } from "./call-participants.js";
import { isSignal, newSession, readSignal } from "./call-signals.js";
import { FrameWorker, requireEncodedTransforms } from "./call-transforms.js";
import { compare } from "./call-watch.js";
import { MLSError } from "./errors.js";

/** How often it is looked whether all that is sent is encrypted, in milliseconds. */
const WATCH = 250;
/** How long the worker may take to answer that, in milliseconds. */
const UNANSWERED = 10_000;
/** How often it is found to have taken longer before the call is stopped. */
const LATE = 4;
/** Every how many of these times statistics are told. */
const STATISTICS = 4;

// Bundlers take `new URL("…", import.meta.url)` for a file that they have to copy.
const ownAddress = import.meta.url;

/** What cannot be watched is not sent. @param {unknown} reason */
const unwatched = (reason) => new MLSError("unprotected-media", `Whether all media are encrypted cannot be watched: ${reason}.`);

const endedMeanwhile = () => new MLSError("bad-state", "The call was ended while it was being joined.");

/**
 * Whether an event `message` of a group or client belongs to a call, and is not for people to read.
 *
 * @param {Event} event
 * @returns {boolean}
 */
export function isCallMessage(event) {
  return event.type === "message" && isSignal(/** @type {CustomEvent<{ text?: string }>} */ (event).detail?.text);
}

/**
 * A call of a group's members: those who have joined it.
 *
 * Events, all `CustomEvent`s: `participant` (detail: `{ participant }`, somebody is in the call), `participantleft` (detail:
 * `{ participant, reason }`), `state` (detail: `{ participant }`, whose `state`, `audio` or `video` has changed), `statistics`
 * (detail: `CallStatistics`, each second), `keys` (detail: `SendingKey`, our frames are under it from now on), `error` (detail:
 * `MLSError`; what stops the call is followed by `ended`), `ended` (detail: `{ reason }`).
 */
export class Call extends EventTarget {
  #group;
  #options;
  #session = newSession();
  /** @type {"new" | "begun" | "ended"} */
  #stage = "new";
  /** @type {Record<MediaKind, MediaStreamTrack | null>} */
  #tracks;
  #members = new Members();
  /** @type {Map<number, Entry>} by leaf */
  #entries = new Map();
  /** @type {Set<Entry>} whose members were removed, and whose connections are not closed yet */
  #lingering = new Set();
  /** @type {FrameWorker | undefined} */
  #worker;
  /** @type {MediaKeys | undefined} */
  #keys;
  #listening = new AbortController();
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #watching;
  /** @type {number | undefined} */
  #lookingSince;
  #looks = 0;
  #late = 0;
  #nextConnection = 1;

  /**
   * A call that is still to be joined. A page that left a call, or was removed, makes another one to come back.
   *
   * @param {Group} group
   * @param {CallOptions} [options]
   */
  constructor(group, options = {}) {
    super();
    this.#group = group;
    this.#options = { iceServers: [], switchDelay: 300, overlap: 10_000, linger: 3000, patience: 20_000, ...options };
    const { stream } = options;
    this.#tracks = { audio: stream?.getAudioTracks()[0] ?? null, video: stream?.getVideoTracks()[0] ?? null };
  }

  /** The group whose members can be in the call. */
  get group() {
    return this.#group;
  }

  /** Names this start of ours among the participants. */
  get session() {
    return this.#session;
  }

  /** The others who are in the call, in the order of their leaves. @returns {Participant[]} */
  get participants() {
    return [...this.#entries.values()].map(({ participant }) => participant).sort((one, other) => one.leafIndex - other.leafIndex);
  }

  /**
   * Come into the call: tell the group's members, and connect to those who are in it.
   *
   * @returns {Promise<void>} when the group was told; participants come as events
   * @throws {MLSError} `no-encoded-transforms`: this browser cannot encrypt media, so none is sent; `bad-state`: the call was joined
   *   before; whatever `Group.send` fails with
   */
  async join() {
    if (this.#stage !== "new") throw new MLSError("bad-state", "This call was joined before; make another one.");
    requireEncodedTransforms();
    this.#stage = "begun";
    try {
      await this.#prepare();
      await this.#tell({ kind: "join", ...this.#sends() });
    } catch (error) {
      this.#end(error instanceof MLSError ? error.code : "internal-error");
      throw error;
    }
  }

  /**
   * Send this track from now on, or nothing of the kind. Nothing is negotiated anew, so it takes effect at once.
   *
   * @param {MediaKind} kind
   * @param {MediaStreamTrack | null} track
   * @throws {MLSError} `bad-argument`
   */
  setTrack(kind, track) {
    if (!(kind in this.#tracks) || (track !== null && track.kind !== kind)) {
      throw new MLSError("bad-argument", "setTrack() takes \"audio\" or \"video\", and a track of that kind or null.");
    }
    this.#tracks[kind] = track;
    for (const { connection } of [...this.#entries.values(), ...this.#lingering]) connection.setTrack(kind, track);
    // Whoever is told while we join takes no notice, or has been told otherwise just before.
    if (this.#watching !== undefined) this.#say({ kind: "state", ...this.#sends() });
  }

  /**
   * Leave the call: tell the others, and close all connections.
   *
   * @returns {Promise<void>} when the others were told
   */
  async leave() {
    if (this.#stage === "new" || this.#stage === "ended") return this.#end("left");
    const told = this.#tell({ kind: "leave" });
    this.#end("left");
    await told;
  }

  /** End it at once, without a word: the others see it when nothing comes any more. */
  dispose() {
    this.#end("disposed");
  }

  async #prepare() {
    const group = this.#group;
    const { signal } = this.#listening;
    group.addEventListener("epoch", (event) => this.#onEpoch(/** @type {CustomEvent<GroupDetails>} */ (event).detail), { signal });
    group.addEventListener("removed", () => this.#end("removed"), { signal });
    // Who was unreachable for some time says so to those who have given up on it.
    globalThis.addEventListener("online", () => this.#watching && this.#say({ kind: "join", ...this.#sends() }), { signal });
    const [details, context] = await Promise.all([group.details(), group.reserveSFrameContext()]);
    if (this.#stage === "ended") throw endedMeanwhile();
    if (!this.#members.known) this.#onEpoch(details);
    const { base = new URL(".", ownAddress).href, overlap, switchDelay } = this.#options;
    const worker = new FrameWorker(
      base,
      (/** @type {SendingKey} */ key) => this.#dispatch("keys", key),
      (error, connection) => this.#onFault(error, connection),
    );
    const keys = followKeys(group, worker, { context, overlap, switchDelay });
    [this.#worker, this.#keys] = [worker, keys];
    const first = new Promise((resolve, reject) => {
      keys.addEventListener("keys", resolve, { once: true });
      keys.addEventListener("error", (event) => reject(/** @type {CustomEvent} */ (event).detail), { once: true });
      signal.addEventListener("abort", () => reject(endedMeanwhile()), { once: true });
    });
    await first;
    // Without the keys of an epoch, frames would go on under those of an earlier one, which a removed member has.
    keys.addEventListener("error", (event) => this.#stop(/** @type {CustomEvent<MLSError>} */ (event).detail));
    this.#watching = setInterval(() => void this.#watch(), WATCH);
    // Whoever has said something earlier answers to our own first word.
    group.addEventListener("message", (event) => this.#onMessage(/** @type {CustomEvent} */ (event).detail), { signal });
  }

  /** @returns {Record<MediaKind, boolean>} */
  #sends() {
    return { audio: this.#tracks.audio !== null, video: this.#tracks.video !== null };
  }

  // What members say

  /** @param {Saying} saying */
  async #tell(saying) {
    await this.#group.send(JSON.stringify({ call: 1, session: this.#session, ...saying }));
  }

  /** @param {Saying} saying */
  #say(saying) {
    this.#tell(saying).catch((error) => {
      if (this.#stage !== "ended") this.#dispatch("error", error);
    });
  }

  /** @param {{ sender: string, senderLeaf: number, epoch: bigint, text?: string }} message */
  #onMessage(message) {
    const signal = readSignal(message.text);
    const member = this.#members.senderOf(message);
    if (signal === undefined || member === undefined) return;
    // What is meant for others, or for an earlier start of ours, is let fall.
    if ("to" in signal && signal.to !== this.#members.leafIndex) return;
    if ("peer" in signal && signal.peer !== this.#session) return;
    this.#onSignal(member, signal);
  }

  /**
   * @param {Member} member
   * @param {Signal} signal
   */
  #onSignal(member, signal) {
    const { leafIndex } = member;
    const known = this.#entries.get(leafIndex);
    const entry = known?.participant.session === signal.session ? known : undefined;
    switch (signal.kind) {
      case "join":
        // Who comes back to us under the same session has given up the connection that has failed.
        this.#setSends(this.#meet(member, signal.session, entry?.connection.connected === false), signal);
        this.#say({ kind: "here", to: leafIndex, ...this.#sends() });
        break;
      case "here":
        this.#setSends(this.#meet(member, signal.session), signal);
        break;
      case "offer":
        if (leafIndex < this.#members.leafIndex) this.#meet(member, signal.session).connection.takeOffer(signal.description);
        break;
      case "answer":
        if (leafIndex > this.#members.leafIndex) entry?.connection.takeAnswer(signal.description);
        break;
      case "candidates":
        entry?.connection.takeCandidates(signal.candidates);
        break;
      case "state":
        if (entry !== undefined) this.#setSends(entry, signal);
        break;
      case "leave":
        if (entry !== undefined) this.#drop(entry, "left");
        break;
    }
  }

  /** @param {GroupDetails} details */
  #onEpoch(details) {
    const { gone, moved } = this.#members.update(details);
    for (const leafIndex of gone) {
      const entry = this.#entries.get(leafIndex);
      if (entry !== undefined) this.#drop(entry, "removed");
    }
    if (moved) this.#begin();
  }

  /** Begin anew, as somebody whom the others do not know: we have come back to the group at another leaf. */
  #begin() {
    for (const entry of [...this.#entries.values()]) this.#drop(entry, "replaced");
    this.#session = newSession();
    this.#say({ kind: "join", ...this.#sends() });
  }

  // Participants

  /**
   * The entry of a member who is in the call, made if need be.
   *
   * @param {Member} member
   * @param {string} session
   * @param {boolean} [anew] whether to give up what there is of that session
   * @returns {Entry}
   */
  #meet(member, session, anew = false) {
    const { leafIndex } = member;
    const known = this.#entries.get(leafIndex);
    if (known !== undefined) {
      if (known.participant.session === session && !anew) return known;
      this.#drop(known, "replaced");
    }
    const connection = this.#connection(leafIndex, session);
    const entry = newEntry(member, session, connection);
    this.#entries.set(leafIndex, entry);
    this.#awaitConnection(entry);
    this.#dispatch("participant", { participant: entry.participant });
    if (this.#members.leafIndex < leafIndex) connection.offer();
    return entry;
  }

  /**
   * @param {number} leafIndex
   * @param {string} session
   */
  #connection(leafIndex, session) {
    const { iceServers, iceTransportPolicy } = this.#options;
    const number = this.#nextConnection++;
    return new Connection({
      number,
      leafIndex,
      worker: /** @type {FrameWorker} */ (this.#worker),
      configuration: { iceServers, ...(iceTransportPolicy === undefined ? {} : { iceTransportPolicy }) },
      tracks: () => this.#tracks,
      tell: (told) => this.#say({ ...told, to: leafIndex, peer: session }),
      onchange: () => this.#onConnection(number),
      onfailure: (error) => this.#onFault(error, error.code === "unprotected-media" ? undefined : number),
    });
  }

  /** @param {number} number of a connection */
  #entryOf(number) {
    return [...this.#entries.values()].find(({ connection }) => connection.number === number);
  }

  /** @param {number} number */
  #onConnection(number) {
    const entry = this.#entryOf(number);
    if (entry === undefined) return;
    if (entry.connection.connected) return this.#setState(entry, entry.lastOpened > 0 ? "verified" : "waiting-for-keys");
    this.#setState(entry, "connecting");
    this.#awaitConnection(entry);
  }

  /** @param {Entry} entry */
  #awaitConnection(entry) {
    entry.timer ??= setTimeout(() => this.#drop(entry, "unreachable"), this.#options.patience);
  }

  /**
   * @param {Entry} entry
   * @param {Record<MediaKind, boolean>} sends
   */
  #setSends({ participant }, { audio, video }) {
    if (participant.audio === audio && participant.video === video) return;
    Object.assign(participant, { audio, video });
    this.#dispatch("state", { participant });
  }

  /**
   * @param {Entry} entry
   * @param {ParticipantState} state
   */
  #setState(entry, state) {
    const { participant } = entry;
    if (participant.state === state) return;
    if (state !== "connecting") {
      clearTimeout(entry.timer);
      entry.timer = undefined;
    }
    participant.state = state;
    this.#dispatch("state", { participant });
  }

  /**
   * Go on without a participant with whom something is wrong.
   *
   * @param {Entry} entry
   * @param {MLSError} error
   */
  #give(entry, error) {
    const { leafIndex, identity } = entry.participant;
    this.#dispatch("error", new MLSError(error.code, error.message, { ...error.details, leafIndex, identity }));
    this.#drop(entry, error.code);
  }

  /**
   * @param {Entry} entry
   * @param {LeaveReason} reason
   */
  #drop(entry, reason) {
    const { participant, connection } = entry;
    if (this.#entries.get(participant.leafIndex) !== entry) return;
    this.#entries.delete(participant.leafIndex);
    if (reason === "removed") this.#linger(entry);
    else connection.close();
    this.#setState(entry, "left");
    this.#dispatch("participantleft", { participant, reason });
  }

  /**
   * Hold a connection for some time: secrecy must not rest on its being closed.
   *
   * @param {Entry} entry
   */
  #linger(entry) {
    this.#worker?.refuse(entry.connection.number);
    this.#lingering.add(entry);
    setTimeout(() => {
      this.#lingering.delete(entry);
      entry.connection.close();
    }, this.#options.linger);
  }

  // What is watched

  async #watch() {
    if (this.#worker === undefined) return;
    if (this.#lookingSince !== undefined) {
      // A page that stood still comes to this before it comes to the answer.
      const late = performance.now() - this.#lookingSince > UNANSWERED && ++this.#late >= LATE;
      if (late) this.#stop(unwatched("its worker does not answer"));
      return;
    }
    this.#lookingSince = performance.now();
    this.#late = 0;
    try {
      const { streams, counters, unprotected } = await compare([...this.#entries.values(), ...this.#lingering], this.#worker);
      if (this.#stage === "ended") return;
      if (unprotected !== undefined) {
        const message = `Not all ${unprotected.media} that is sent was encrypted, so the call was stopped. Use another browser, and report this one.`;
        return this.#stop(new MLSError("unprotected-media", message, unprotected));
      }
      const now = performance.now();
      for (const entry of this.#entries.values()) this.#setState(entry, count(entry, streams, now));
      if (++this.#looks % STATISTICS === 0) this.#tellStatistics(counters);
    } catch (error) {
      this.#stop(unwatched(error));
    } finally {
      this.#lookingSince = undefined;
    }
  }

  /** @param {CounterRange[]} counters */
  #tellStatistics(counters) {
    this.#dispatch("statistics", /** @type {CallStatistics} */ ({ participants: this.participants, counters }));
    for (const { participant } of this.#entries.values()) participant.longestVideoGap = 0;
  }

  /**
   * @param {MLSError} error
   * @param {number} [number] of the connection, if it is about one
   */
  #onFault(error, number) {
    if (number === undefined) return this.#stop(error);
    const entry = this.#entryOf(number);
    if (entry !== undefined) this.#give(entry, error);
  }

  // The end

  /** @param {MLSError} error */
  #stop(error) {
    this.#end(error.code, error);
  }

  /**
   * @param {EndReason} reason
   * @param {MLSError} [error] that stops it
   */
  #end(reason, error) {
    if (this.#stage === "ended") return;
    this.#stage = "ended";
    this.#listening.abort();
    clearInterval(this.#watching);
    this.#watching = undefined;
    this.#tracks = { audio: null, video: null };
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    for (const entry of entries) {
      entry.connection.silence();
      this.#setState(entry, "left");
    }
    const close = () => {
      for (const { connection } of [...entries, ...this.#lingering]) connection.close();
      this.#worker?.end();
      this.#keys?.close();
    };
    // Who was removed cannot decrypt what still comes; that it does not come is not what this rests on.
    if (reason === "removed") setTimeout(close, this.#options.linger);
    else close();
    if (error !== undefined) this.#dispatch("error", error);
    this.#dispatch("ended", { reason });
  }

  /**
   * @param {string} name
   * @param {unknown} detail
   */
  #dispatch(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
