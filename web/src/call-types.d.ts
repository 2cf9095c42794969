/** What a page gives to a call, and what it is told of it. */

/** What a stream of frames carries. */
export type MediaKind = "audio" | "video";

/**
 * How it stands with a participant. `waiting-for-keys`: connected, but no frame could be read yet; `verified`: frames decrypt now;
 * `cannot-decrypt`: frames arrive, and none of them decrypts.
 */
export type ParticipantState = "connecting" | "waiting-for-keys" | "verified" | "cannot-decrypt" | "left";

/** Another member of the group who is in the call. The object stays the same while the participant is, and changes. */
export interface Participant {
  /** The place in the group's ratchet tree. */
  readonly leafIndex: number;
  /** An address, `name@domain`, from the authenticated leaf. */
  readonly identity: string;
  /** The domain of the address. */
  readonly domain: string;
  /** Names this start of the participant's call; new after a reload. */
  readonly session: string;
  /** One audio and one video track; muted while nothing comes. */
  readonly stream: MediaStream;
  /** How it stands. */
  readonly state: ParticipantState;
  /** Whether the participant says that there is sound to hear. */
  readonly audio: boolean;
  /** Whether the participant says that there is something to see. */
  readonly video: boolean;
  /** Frames that were encrypted for this participant. */
  readonly framesProtected: number;
  /** Frames of this participant that were decrypted. */
  readonly framesOpened: number;
  /** Frames of this participant that were not: of a key that we do not have, or that is another member's; altered; or replayed. */
  readonly framesRefused: number;
  /** How often each reason was why, by code: `unknown-key`, `wrong-sender`, `not-authentic`, `replayed-frame`, and others. */
  readonly refusals: Record<string, number>;
  /** The SFrame key id of their last frame that was decrypted; null until there is one. */
  readonly keyId: bigint | null;
  /** The longest time between two frames of video that were decrypted, in milliseconds, since the last `statistics`. */
  readonly longestVideoGap: number;
}

/** Which numbers frames of one key have had. No number is used twice. */
export interface CounterRange {
  /** The SFrame key id (RFC 9605 §4.4.3). */
  keyId: bigint;
  /** The epoch of the group that the key is of. */
  epoch: bigint;
  /** The first number. */
  first: bigint;
  /** The number that the next frame would have. */
  next: bigint;
}

/** Detail of the event `statistics`. */
export interface CallStatistics {
  /** Those who are in the call. */
  participants: Participant[];
  /** Our own keys, and how far they were used. */
  counters: CounterRange[];
}

/** Detail of the event `keys`: our frames are encrypted under this key from now on. */
export interface SendingKey {
  /** The epoch of the group. */
  epoch: bigint;
  /** The SFrame key id. */
  keyId: bigint;
}

/** Why a call ended: we left it, were removed from the group, or `dispose()` was called; or the code of the error that stopped it. */
export type EndReason = "left" | "removed" | "disposed" | (string & {});

/**
 * Why a participant is no longer in the call: they left it; were removed from the group; began anew, as after a reload; could not be
 * reached; or the code of the error that their connection ended with.
 */
export type LeaveReason = "left" | "removed" | "replaced" | "unreachable" | (string & {});

/** How a call is made. */
export interface CallOptions {
  /** What is sent from the start: its first audio and its first video track. */
  stream?: MediaStream;
  /** STUN and TURN servers; none, if all participants are in one network. */
  iceServers?: RTCIceServer[];
  /** `relay`: only by TURN servers, so that participants do not learn each other's addresses. */
  iceTransportPolicy?: RTCIceTransportPolicy;
  /** How long after a new epoch our frames go over to its key, in milliseconds; by then, others should have it. */
  switchDelay?: number;
  /** How long keys of an earlier epoch are kept for frames that are late, in milliseconds. */
  overlap?: number;
  /** How long the connection to a removed member is held, in milliseconds; nothing of it is decrypted. */
  linger?: number;
  /** How long it may take to reach a participant, in milliseconds. */
  patience?: number;
  /** Address of the folder that holds `call-worker.js`, if that is not this module's own. */
  base?: string;
}
