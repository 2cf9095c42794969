/**
 * What the page and the worker say to each other: the one list of requests and events.
 *
 * Only structured-clone values cross: octets as `Uint8Array`, uint64 as `bigint`, strings, plain objects and arrays.
 * `mls_federation/browser/bridge.py` answers each request of `Requests`, with the same parameters; a test compares the two.
 */

/** Which crypto provider the engine runs on; `auto` takes `pyca` where the page's Pyodide serves its wheel. */
export type CryptoChoice = "auto" | "pyca" | "webjs";

/** A protection profile of SRTP, by its registered name without the prefix `SRTP_`. */
export type SrtpProfile = "AES_CM_128_HMAC_SHA1_80" | "AEAD_AES_128_GCM" | "AEAD_AES_256_GCM";

/** How far loading has come. */
export interface Progress {
  /** `runtime`: WebAssembly; `python`: the standard library and start-up; `packages`: the client; then `ready`. */
  stage: "runtime" | "python" | "packages" | "ready";
  /** Octets received so far, of all files. */
  received: number;
  /** Octets that all files have. */
  total: number;
}

/** An error as it crosses from the worker; the page turns it into an `MLSError`. */
export interface Fault {
  /** Stable, kebab-case. */
  code: string;
  /** In words that a person can act on. */
  message: string;
  details: Record<string, unknown>;
}

export type Reply = { ok: true; value: unknown } | { ok: false; fault: Fault };

/** A delivery service that was reached and said who it is. */
export interface DeliveryService {
  domain: string;
  url: string;
  /** Federation versions that it speaks. */
  versions: number[];
}

/** Who brings messages to the delivery services of their recipients: the client itself, or its own service, the only one it talks to. */
export type Fanout = "client" | "server";

export interface ClientState {
  /** Names the client in later requests. */
  client: number;
  identity: string;
  domain: string;
  /** Names this device among those of the identity. */
  clientId: Uint8Array;
  /** SHA-256 of this device's identity key, lower-case hexadecimal. */
  fingerprint: string;
  fanout: Fanout;
}

/** A device that an identity has or had. */
export interface Device {
  clientId: Uint8Array;
  /** SHA-256 of its identity key, lower-case hexadecimal. */
  fingerprint: string;
  /** Whether it is the client itself. */
  self: boolean;
  /** Whether it may speak for the identity; else it was revoked. */
  active: boolean;
}

/** A cipher suite or signature scheme: its code point and its registered name. */
export interface Named {
  value: number;
  name: string;
}

/** The seed's `UserInitKey`, field by field. */
export interface UserInitKey {
  userInitKeyId: Uint8Array;
  /** As the seed numbers them. */
  cipherSuites: Named[];
  initKeys: Uint8Array[];
  credential: Credential;
  signature: Uint8Array;
}

export interface Credential {
  credentialType: string;
  identity: string;
  signatureScheme: Named;
  publicKey: Uint8Array;
  /** SHA-256 of the public key, lower-case hexadecimal. */
  fingerprint: string;
}

/** The fields of a KeyPackage (RFC 9420 §10) that say who joins, and how. */
export interface KeyPackage {
  keyPackageRef: Uint8Array;
  version: string;
  cipherSuite: Named;
  initKey: Uint8Array;
  encryptionKey: Uint8Array;
  signatureKey: Uint8Array;
  /** Unix seconds. */
  notBefore: bigint;
  /** Unix seconds. */
  notAfter: bigint;
  signature: Uint8Array;
}

/** What a delivery service returned for one client of an identity, decoded and verified. */
export interface KeyBundle {
  identity: string;
  domain: string;
  userInitKey: UserInitKey;
  keyPackage: KeyPackage;
  /** One reference for each suite of the manifest, in its order. */
  keyPackageRefs: Uint8Array[];
  /** Whether the service had only the reusable set left. */
  lastResort: boolean;
  /** What was checked before this was handed out, in words. */
  verified: string[];
}

export interface Member {
  identity: string;
  leafIndex: number;
  /** Whether this is the client itself. */
  self: boolean;
  /** SHA-256 of the identity key that vouches for the leaf, lower-case hexadecimal. */
  fingerprint: string;
}

export interface GroupDetails {
  groupId: Uint8Array;
  epoch: bigint;
  cipherSuite: number;
  cipherSuiteName: string;
  /** Equal for all who agree on the group's state and history; people compare it aloud. New in each epoch. */
  safetyNumber: string;
  members: Member[];
}

export interface SrtpKeys {
  identity: string;
  leafIndex: number;
  /** Secret. */
  key: Uint8Array;
  /** Secret. */
  salt: Uint8Array;
  mki: Uint8Array;
}

/** What became of a message for one recipient. */
export interface Delivery {
  identity: string;
  /**
   * `accepted` by its delivery service; `relayed`: our own service has it, and will bring it there; `unknown` there; `refused`;
   * or it waits and is tried again: `pending`, since the service was not reached, `inbox-full` or `queue-full`.
   */
  status: "accepted" | "relayed" | "unknown" | "refused" | "pending" | "inbox-full" | "queue-full";
  /** As in the event `undelivered`, which may come later. */
  messageId: Uint8Array;
  /** The domains whose services it went through, or will, in order; empty unless it was accepted or relayed. */
  via: string[];
}

/** A message that was encrypted, and how far it has come. */
export interface SentMessage {
  epoch: bigint;
  deliveries: Delivery[];
}

/** A group in the epoch that a change of ours began, and how far the news has come. */
export interface GroupChange extends GroupDetails {
  deliveries: Delivery[];
}

/** What came of verifying a file of test vectors. */
export interface VectorResult {
  /** As the working group names its file, such as `tree-math`; found by the entries' keys. */
  family: string;
  /** Entries. */
  passed: number;
  failed: number;
  /** Entries of cipher suites that the provider lacks. */
  skipped: number;
  failures: VectorFailure[];
}

export interface VectorFailure {
  /** Its place in the file, from 0. */
  entry: number;
  fault: Fault;
}

/** Every request, by name. `client` is what `createClient` returned; a member's address is `name@domain`. */
export interface Requests {
  setDeliveryService: { params: { domain: string; url: string }; result: DeliveryService };
  createClient: { params: { identity: string; fanout?: string }; result: ClientState };
  createDevice: { params: { identity: string; fanout?: string }; result: ClientState };
  register: { params: { client: number }; result: null };
  deviceRequest: { params: { client: number }; result: string };
  admitDevice: { params: { client: number; request: string }; result: Uint8Array };
  devices: { params: { client: number }; result: Device[] };
  revokeDevice: { params: { client: number; clientId: Uint8Array }; result: Uint8Array[] };
  setFanout: { params: { client: number; fanout: string }; result: null };
  clearLogFault: { params: { client: number; domain: string }; result: null };
  fetchKeyBundles: { params: { client: number; identity: string }; result: KeyBundle[] };
  createGroup: {
    params: { client: number; cipherSuite?: number; groupId?: Uint8Array; ordering?: string };
    result: GroupDetails;
  };
  addMember: { params: { client: number; groupId: Uint8Array; identity: string }; result: GroupChange };
  removeMember: { params: { client: number; groupId: Uint8Array; identity: string }; result: GroupChange };
  removeDevice: {
    params: { client: number; groupId: Uint8Array; identity: string; clientId: Uint8Array };
    result: GroupChange;
  };
  updateGroup: { params: { client: number; groupId: Uint8Array }; result: GroupChange };
  sendMessage: { params: { client: number; groupId: Uint8Array; data: Uint8Array }; result: SentMessage };
  flush: { params: { client: number }; result: Delivery[] };
  groupDetails: { params: { client: number; groupId: Uint8Array }; result: GroupDetails };
  exportSrtpKeys: { params: { client: number; groupId: Uint8Array; profile: string }; result: SrtpKeys[] };
  exportSecret: {
    params: { client: number; groupId: Uint8Array; label: string; context: Uint8Array; length: number };
    result: Uint8Array;
  };
  closeClient: { params: { client: number }; result: null };
  verifyVectors: { params: { data: Uint8Array }; result: VectorResult };
}

/** Every event, by name, with what it carries. */
export interface Events {
  /** A Welcome was accepted: the client is in a new group. */
  group: { client: number; groupId: Uint8Array; details: GroupDetails };
  message: {
    client: number;
    groupId: Uint8Array;
    /** Address of the sender, from its authenticated leaf. */
    sender: string;
    senderLeaf: number;
    epoch: bigint;
    data: Uint8Array;
    /** The domains whose delivery services it came through; none if it had to wait here until it could be read. */
    via: string[];
  };
  /** The group moved to another epoch: a member came, went or changed its keys. */
  epoch: { client: number; groupId: Uint8Array; details: GroupDetails };
  /** The client is no longer a member. */
  removed: { client: number; groupId: Uint8Array };
  connection: { client: number; state: "connecting" | "connected" | "disconnected" };
  /** A message that was on its way will not reach a recipient: `reason` is `expired`, `refused` or `unknown`. */
  undelivered: { client: number; messageId: Uint8Array; identity: string; reason: string };
  /** The identity has other devices than the client knew of: who did not admit or revoke them should ask who did. */
  devices: { client: number; admitted: Uint8Array[]; revoked: Uint8Array[] };
  /**
   * Something that arrived was refused and changed nothing (`details.refused`; `details.held`: it is kept and tried again
   * when the group has come further), or something that the client does by itself failed.
   */
  error: { client: number; groupId?: Uint8Array; fault: Fault };
}

/** An event as it crosses from the worker. */
export type EventMessage = { [Name in keyof Events]: { name: Name; detail: Events[Name] } }[keyof Events];

export interface LoadOptions {
  crypto: CryptoChoice;
  /** Address of the folder with `assets.json`. */
  base: string;
}

/** What the worker exposes through comlink. */
export interface WorkerInterface {
  load(
    options: LoadOptions,
    onprogress: (progress: Progress) => void,
    onevent: (event: EventMessage) => void,
  ): Promise<Reply>;
  /** @param id names the call, so that it can be cancelled */
  call(id: number, method: string, params: object): Promise<Reply>;
  cancel(id: number): void;
}
