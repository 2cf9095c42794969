/** What the members of a call say to each other, and its page and its worker. */
import type { CounterRange, MediaKind, SendingKey } from "./call-types.js";
import type { Fault, SFrameCipherSuite } from "./protocol.js";

// What members say to each other: JSON in application messages.

/** What every one of them says. */
interface Said {
  /** The version of this signalling. */
  call: 1;
  /** 8 random octets, hexadecimal: the sender's start of the call. */
  session: string;
}

/** What a participant says to send. */
interface Sends {
  /** Whether there is sound. */
  audio: boolean;
  /** Whether there are pictures. */
  video: boolean;
}

/** `to` is the leaf index of whom it is for; `peer` that one's session. */
export type Signal = Said &
  (
    | ({ kind: "join" } & Sends)
    | ({ kind: "here"; to: number } & Sends)
    | { kind: "offer" | "answer"; to: number; peer: string; description: string }
    | { kind: "candidates"; to: number; peer: string; candidates: RTCIceCandidateInit[] }
    | ({ kind: "state" } & Sends)
    | { kind: "leave" }
  );

/** A signal before its sender's session is put to it. */
export type Saying = Signal extends infer One ? (One extends Signal ? Omit<One, "call" | "session"> : never) : never;

/** What a connection says to its participant. */
export type Told = Saying extends infer One ? (One extends { peer: string } ? Omit<One, "to" | "peer"> : never) : never;

// What the page and the worker of the frames say to each other.

/** Given to the worker with each stream of frames. */
export interface FrameStream {
  /** Names the stream. */
  stream: number;
  /** Names the connection that it belongs to. */
  connection: number;
  /** The leaf of the member at the other end. */
  leafIndex: number;
  direction: "send" | "receive";
  media: MediaKind;
}

/** The keys of an epoch, as `exportSFrameKeys()` gives them, and what is ours of them. */
export interface EpochKeys {
  epoch: bigint;
  cipherSuite: SFrameCipherSuite;
  /** Secret. */
  baseKey: Uint8Array;
  epochBits: number;
  senderBits: number;
  /** Our own leaf. */
  leafIndex: number;
  /** Our own context (RFC 9605 §5.2). */
  context: bigint;
}

/** What the page tells the worker. */
export type FrameRequest =
  | { type: "keys"; keys: EpochKeys; switchDelay: number }
  | { type: "erase"; epoch: bigint }
  | { type: "streams"; frameStream: FrameStream; readable: ReadableStream; writable: WritableStream }
  | { type: "refuse"; connection: number }
  | { type: "close"; connection: number }
  | { type: "count"; request: number };

/** What the worker tells the page. */
export type FrameEvent =
  | { type: "attached"; stream: number }
  | { type: "flowing"; stream: number }
  | { type: "counts"; request: number; streams: FrameCounts[]; counters: CounterRange[] }
  | { type: "sending"; key: SendingKey }
  | { type: "fault"; fault: Fault; connection?: number };

/** What has gone through one stream. */
export interface FrameCounts extends FrameStream {
  /** Frames that came, whatever became of them. */
  seen: number;
  /** Frames that went on, encrypted or decrypted. */
  passed: number;
  /** Frames that did not. */
  refused: number;
  /** Octets that went on. */
  octets: number;
  /** The longest time between two frames that went on, in milliseconds, since the last time that was asked. */
  longestGap: number;
  /** How often a key frame was asked for, and the browser refused to ask for it, as where nothing is sent or received. */
  keyFramesRefused: number;
  /** How often each reason was why a frame did not go on, by code. */
  reasons: Record<string, number>;
  /** Of what is received: the SFrame key id of the last frame of the connection that was decrypted. */
  keyId?: bigint | undefined;
}

/** An encoded frame, as much of it as is needed here. */
export interface EncodedFrame {
  data: ArrayBuffer;
  getMetadata(): { mimeType?: string };
}

/** What a transform of a browser can be asked for; not every browser has all. */
export interface Transformer {
  readonly readable: ReadableStream;
  readonly writable: WritableStream;
  readonly options: FrameStream;
  generateKeyFrame?(): Promise<unknown>;
  sendKeyFrameRequest?(): Promise<unknown>;
}
