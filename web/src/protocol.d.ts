/**
 * What the page and the worker say to each other: the one list of requests and events.
 *
 * Only structured-clone values cross: octets as `Uint8Array`, uint64 as `bigint`, strings, plain objects and arrays.
 * `mls_federation/browser/bridge.py` answers each request of `Requests`, with the same parameters; a test compares the two.
 */
import type { MLSError } from "./errors.js";

/** What cryptography runs on: the Python package `cryptography`, or JavaScript and WebAssembly. */
export type CryptoProvider = "pyca" | "webjs";

/** Which crypto provider the engine is to run on; `auto` takes `pyca` where the page's Pyodide serves its wheel. */
export type CryptoChoice = "auto" | CryptoProvider;

/** A protection profile of SRTP, by its registered name without the prefix `SRTP_`. */
export type SrtpProfile = "AES_CM_128_HMAC_SHA1_80" | "AEAD_AES_128_GCM" | "AEAD_AES_256_GCM";

/** How far loading has come. */
export interface Progress {
  /** `runtime`: WebAssembly; `python`: the standard library and start-up; `packages`: the client; then `ready`. */
  stage: "runtime" | "python" | "packages" | "ready";
  /** Octets received so far, of all files; with those of the snapshot, if there is one. */
  received: number;
  /** Octets that all of them have. */
  total: number;
}

/** What the interpreter was started from: its files, or a memory snapshot that an earlier visit made. */
export type StartedFrom = "files" | "snapshot";

/** What came of making a snapshot for the next visit. */
export type SnapshotOutcome = { kept: true } | { kept: false; reason: string };

/** An error as it crosses from the worker; the page turns it into an `MLSError`. */
export interface Fault {
  /** Stable, kebab-case. */
  code: string;
  /** In words that a person can act on. */
  message: string;
  /** What else is known, by code. */
  details: Record<string, unknown>;
}

export type Reply = { ok: true; value: unknown } | { ok: false; fault: Fault };

/** A delivery service that was reached and said who it is. */
export interface DeliveryService {
  /** The domain that it serves. */
  domain: string;
  /** Its base address, without a slash at the end. */
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
  /** Whether its delivery service has keys of it; if not, see `Client.register`. */
  registered: boolean;
  /** Ids of the groups that it is in. */
  groups: Uint8Array[];
}

/** A client as the worker knows it. */
export interface OpenState extends ClientState {
  /** By which name it is kept in this browser; undefined: it lasts as long as the page. */
  account?: string;
  /** Whether it runs in this tab; another one runs it if not. */
  leads?: boolean;
}

/** A client that is kept in this browser. */
export interface Account {
  /** Names it here. */
  account: string;
  /** Its address, `name@domain`. */
  identity: string;
  /** Names it among the devices of its identity, hexadecimal. */
  clientId: string;
  /** Whether it was exported, to go on elsewhere. */
  exported: boolean;
}

/** A device that an identity has or had. */
export interface Device {
  /** Names it among the devices of its identity. */
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
  /** The code point. */
  value: number;
  /** The registered name, or digits where there is none. */
  name: string;
}

/** The seed's `UserInitKey`, field by field. */
export interface UserInitKey {
  /** A hash over the references of all KeyPackages that it covers. */
  userInitKeyId: Uint8Array;
  /** As the seed numbers them. */
  cipherSuites: Named[];
  /** The public keys that newcomers' secrets are encrypted to, one for each suite, in the same order. */
  initKeys: Uint8Array[];
  /** Whose keys these are, with the identity key. */
  credential: Credential;
  /** By the identity key, over all of the above. */
  signature: Uint8Array;
}

/** Who somebody is, as the seed writes it. */
export interface Credential {
  /** `basic`. */
  credentialType: string;
  /** An address, `name@domain`. */
  identity: string;
  /** What the public key is for, as TLS numbers it. */
  signatureScheme: Named;
  /** The identity key. */
  publicKey: Uint8Array;
  /** SHA-256 of the public key, lower-case hexadecimal. */
  fingerprint: string;
}

/** The fields of a KeyPackage (RFC 9420 §10) that say who joins, and how. */
export interface KeyPackage {
  /** Its hash reference (RFC 9420 §5.2). */
  keyPackageRef: Uint8Array;
  /** The protocol's version, `mls10`. */
  version: string;
  /** The suite that it is for. */
  cipherSuite: Named;
  /** The public key that a Welcome is encrypted to. */
  initKey: Uint8Array;
  /** The public key of the leaf in the ratchet tree. */
  encryptionKey: Uint8Array;
  /** The public key that the member's messages are verified with. */
  signatureKey: Uint8Array;
  /** Unix seconds. */
  notBefore: bigint;
  /** Unix seconds. */
  notAfter: bigint;
  /** By the signature key, over all of the KeyPackage. */
  signature: Uint8Array;
}

/** What a delivery service returned for one client of an identity, decoded and verified. */
export interface KeyBundle {
  /** Whose keys these are: an address, `name@domain`. */
  identity: string;
  /** The domain whose delivery service they came from. */
  domain: string;
  /** The manifest of all suites, signed by the identity key. */
  userInitKey: UserInitKey;
  /** The KeyPackage of the best suite that both sides have. */
  keyPackage: KeyPackage;
  /** One reference for each suite of the manifest, in its order. */
  keyPackageRefs: Uint8Array[];
  /** Whether the service had only the reusable set left. */
  lastResort: boolean;
  /** What was checked before this was handed out, in words. */
  verified: string[];
}

/** One client in a group. */
export interface Member {
  /** Its address, `name@domain`, from its authenticated leaf. */
  identity: string;
  /** Its place in the ratchet tree. */
  leafIndex: number;
  /** Whether this is the client itself. */
  self: boolean;
  /** SHA-256 of the identity key that vouches for the leaf, lower-case hexadecimal. */
  fingerprint: string;
}

/** How a group stands in one epoch. */
export interface GroupDetails {
  /** Equal for all members, and for ever. */
  groupId: Uint8Array;
  /** Counts the group's changes, from 0. */
  epoch: bigint;
  /** The suite's code point in RFC 9420. */
  cipherSuite: number;
  /** The suite's registered name. */
  cipherSuiteName: string;
  /** Equal for all who agree on the group's state and history; people compare it aloud. New in each epoch. */
  safetyNumber: string;
  /** Every client in the group, in the order of their leaves. */
  members: Member[];
}

/** What one sender's media are encrypted with in one epoch (RFC 3711, RFC 7714). */
export interface SrtpKeys {
  /** Whose media these keys encrypt: an address, `name@domain`. */
  identity: string;
  /** The sender's place in the ratchet tree. */
  leafIndex: number;
  /** Secret. */
  key: Uint8Array;
  /** Secret. */
  salt: Uint8Array;
  /** Master key identifier: the epoch, 4 octets. */
  mki: Uint8Array;
}

/** A cipher suite of SFrame, by its name (RFC 9605 §8.1). */
export type SFrameCipherSuite =
  | "AES_128_CTR_HMAC_SHA256_80"
  | "AES_128_CTR_HMAC_SHA256_64"
  | "AES_128_CTR_HMAC_SHA256_32"
  | "AES_128_GCM_SHA256_128"
  | "AES_256_GCM_SHA512_128";

/** What a cipher suite of SFrame consists of; sizes are in octets, by the symbols of RFC 9605 §4.4. */
export interface SFrameSuiteParameters {
  /** Its number in the registry. */
  readonly id: number;
  /** Of HKDF; and of HMAC, if there is one. */
  readonly hash: "SHA-256" | "SHA-512";
  /** What encrypts; with AES-CTR, HMAC authenticates. */
  readonly aead: "AES-GCM" | "AES-CTR";
  /** Of the AEAD's key: with AES-CTR, `Nka` of its own, and the rest is HMAC's. */
  readonly Nk: number;
  /** Of the AES-CTR key; 0 where there is none. */
  readonly Nka: number;
  /** Of the tag. */
  readonly Nt: number;
}

/** Who may send frames in an epoch. */
export interface SFrameSender {
  /** The sender's place in the ratchet tree. */
  leafIndex: number;
  /** Its address, `name@domain`. */
  identity: string;
  /** Whether this is the client itself. */
  self: boolean;
  /** KID of its frames with context 0; `keyIdOf` of `media-keys.js` has those with others. */
  keyId: bigint;
}

/** What all members protect their media frames with in one epoch (RFC 9605 §5.2). */
export interface SFrameKeys {
  /** Of the group. */
  epoch: bigint;
  /** For all senders. */
  cipherSuite: SFrameCipherSuite;
  /** Secret. */
  baseKey: Uint8Array;
  /** E of §5.2: how many bits of a key id are those of the epoch: 8. */
  epochBits: number;
  /** S of §5.2: how many bits of a key id are the sender's leaf. */
  senderBits: number;
  /** All members, in the order of their leaves. */
  senders: SFrameSender[];
}

/** All keys of one epoch, as `MediaKeys` has them. */
export interface EpochMediaKeys extends SFrameKeys {
  /** SRTP keys, by the profiles that were asked for. */
  srtp?: Partial<Record<SrtpProfile, SrtpKeys[]>>;
}

/** What became of a message for one recipient. */
export interface Delivery {
  /** The recipient's address, `name@domain`. */
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
  /** The epoch that it was encrypted in. */
  epoch: bigint;
  /** How far it has come, for each recipient. */
  deliveries: Delivery[];
}

/** A group in the epoch that a change of ours began, and how far the news has come. */
export interface GroupChange extends GroupDetails {
  /** How far the news has come, for each recipient. */
  deliveries: Delivery[];
}

/** What came of verifying a file of test vectors. */
export interface VectorResult {
  /** As the working group names its file, such as `tree-math`; found by the entries' keys. */
  family: string;
  /** Entries. */
  passed: number;
  /** Entries that our engine computes otherwise, or refuses. */
  failed: number;
  /** Entries of cipher suites that the provider lacks. */
  skipped: number;
  /** Which entries failed, and why. */
  failures: VectorFailure[];
}

/** An entry that did not verify. */
export interface VectorFailure {
  /** Its place in the file, from 0. */
  entry: number;
  /** What was wrong with it. */
  fault: Fault;
}

/** What came of one file of test vectors. With `error`, code `bad-vector`, it holds none. */
export interface SelfTestResult extends VectorResult {
  /** What `selfTest()` was given it by. */
  name: string;
  /** Why nothing of it was verified. */
  error?: MLSError;
}

/** A field of a message as it is on the wire, or an element of one of its vectors; nothing of it is verified or decrypted. */
export interface DecodedPart {
  /** The field's name in RFC 9420; an element's place, such as `[0]`; `(data)` for what an extension's data holds. */
  name: string;
  /** As the RFC writes it, such as `opaque<V>`. */
  type: string;
  /** Which of the members below it has. */
  kind: "struct" | "vector" | "octets" | "number" | "enum" | "absent";
  /** Octets from the start of the message. */
  offset: number;
  /** Octets on the wire, with the length before them. */
  size: number;
  /** Of octets, numbers (`bigint` for a `uint64`) and enums. */
  value?: Uint8Array | number | bigint;
  /** An enum value's registered name, or `GREASE`; left out if it has none. */
  label?: string;
  /** Of a struct its fields, of a vector its elements. */
  parts: DecodedPart[];
  /** Elements that are left out, as the description would be too long. */
  omitted: number;
  /** What is in a field that is encrypted, and who can read it. */
  encrypted?: string;
  /** Why an extension's data is not what its type calls for. */
  fault?: Fault;
}

/** A node of a ratchet tree (RFC 9420 §7.1). */
export interface RatchetTreeNode {
  /** Its place in the array of RFC 9420, Appendix C. */
  nodeIndex: number;
  /** Its height; leaves are at 0. */
  level: number;
  /** The index of the node above; left out at the root. */
  parent?: number;
  /** Whether there is nothing. */
  blank: boolean;
  /** What a leaf's basic credential says; else empty. */
  identity: string;
  /** How a leaf came into the tree: `key_package`, `update` or `commit`. */
  source?: string;
  /** Its HPKE public key; left out of a blank one. */
  encryptionKey?: Uint8Array;
  /** Leaf indices of the members that do not know a parent's private key. */
  unmergedLeaves: number[];
}

/** A ratchet tree as a GroupInfo shows it; nothing of it is verified. */
export interface RatchetTree {
  /** Leaves, blank ones included: a power of two. */
  leafCount: number;
  /** Its node index. */
  root: number;
  /** In the order of their indices. */
  nodes: RatchetTreeNode[];
  /** Left out if the tree came without a GroupInfo. */
  groupContext?: {
    groupId: Uint8Array;
    epoch: bigint;
    cipherSuite: number;
    treeHash: Uint8Array;
    confirmedTranscriptHash: Uint8Array;
  };
}

/** What octets are, in the interface of Firefox's `MLS`; the dictionaries below are from there too. */
export type MLSObjectType =
  | "group-epoch"
  | "group-identifier"
  | "group-info"
  | "client-identifier"
  | "credential-basic"
  | "key-package"
  | "proposal"
  | "commit-output"
  | "commit-processed"
  | "welcome"
  | "exporter-output"
  | "exporter-label"
  | "exporter-context"
  | "application-message-ciphertext"
  | "application-message-plaintext";

/** Octets, and what they are. */
export interface MLSBytes {
  /** What the octets are. */
  type: MLSObjectType;
  /** The octets. */
  content: Uint8Array;
}

/** Somebody in a group. */
export interface MLSGroupMember {
  /** SHA-256 of the member's signature public key. */
  clientId: Uint8Array;
  /** A Credential (RFC 9420 §5.3). */
  credential: Uint8Array;
}

/** A group in its present epoch. */
export interface MLSGroupDetails {
  /** What this is. */
  type: "group-info";
  /** Names the group. */
  groupId: Uint8Array;
  /** 8 octets, little-endian. */
  groupEpoch: Uint8Array;
  /** By leaf index. */
  members: MLSGroupMember[];
}

/** A commit of ours, which takes effect when it is received, or applied. */
export interface MLSCommitOutput {
  /** What this is. */
  type: "commit-output";
  /** Names the group. */
  groupId: Uint8Array;
  /** For all members, ourselves too: an MLSMessage. */
  commit: Uint8Array;
  /** For those whom the commit adds, if it adds anybody: an MLSMessage. */
  welcome?: Uint8Array;
}

/** A secret for the application. */
export interface MLSExporterOutput {
  /** What this is. */
  type: "exporter-output";
  /** Names the group. */
  groupId: Uint8Array;
  /** Of the epoch that it belongs to: 8 octets, little-endian. */
  groupEpoch: Uint8Array;
  /** What it is for. */
  label: Uint8Array;
  /** The label again, as in Firefox. */
  context: Uint8Array;
  /** Secret. */
  secret: Uint8Array;
}

/** What a message was. */
export interface MLSReceived {
  /** Application data, a commit, or a proposal, to which we have committed. */
  type: "application-message-plaintext" | "commit-processed" | "commit-output";
  /** Names the group. */
  groupId: Uint8Array;
  /** Of a commit: the epoch that it began; `ffffffffffffffff` if we are no longer a member. */
  groupEpoch?: Uint8Array;
  /** Of an application message. */
  content?: Uint8Array;
  /** Of a proposal: our commit to it. */
  commitOutput?: MLSCommitOutput;
}

/** What a client can show of its group. Not in Firefox's. */
export interface MLSInspection {
  /** An MLSMessage with a GroupInfo, the ratchet tree in it. */
  groupInfo: Uint8Array;
  /** The same for all members of the epoch (RFC 9420 §8.7). */
  epochAuthenticator: Uint8Array;
}

/** Every request that the client in Python answers, by name. `client` is a number that the page chooses; a member's address is `name@domain`. */
export interface Requests {
  setDeliveryService: { params: { domain: string; url: string }; result: DeliveryService };
  createClient: { params: { client: number; identity: string; fanout?: string; account?: string }; result: OpenState };
  createDevice: { params: { client: number; identity: string; fanout?: string; account?: string }; result: OpenState };
  openClient: { params: { client: number; account: string }; result: ClientState };
  clientState: { params: { client: number }; result: OpenState };
  told: { params: { client: number; number: number }; result: null };
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
  exportSFrameKeys: { params: { client: number; groupId: Uint8Array }; result: SFrameKeys };
  exportRatchetTree: { params: { client: number; groupId: Uint8Array }; result: Uint8Array };
  reserveSFrameContext: { params: { client: number; groupId: Uint8Array }; result: bigint };
  exportSecret: {
    params: { client: number; groupId: Uint8Array; label: string; context: Uint8Array; length: number };
    result: Uint8Array;
  };
  closeClient: { params: { client: number }; result: null };
  exportAccount: { params: { client: number; passphrase: string }; result: Uint8Array };
  importAccount: { params: { account: string; data: Uint8Array; passphrase: string }; result: string };
  verifyVectors: { params: { data: Uint8Array }; result: VectorResult };
  decode: { params: { data: Uint8Array }; result: DecodedPart };
  ratchetTree: { params: { data: Uint8Array }; result: RatchetTree };

  // Of `mls.js`. `groupId` and `clientId` name a view.
  mlsDeleteState: { params: {}; result: null };
  mlsGenerateIdentity: { params: {}; result: MLSBytes };
  mlsGenerateCredential: { params: { content: Uint8Array }; result: MLSBytes };
  mlsGenerateKeyPackage: { params: { clientId: Uint8Array; credential: Uint8Array }; result: MLSBytes };
  mlsGroupCreate: { params: { clientId: Uint8Array; credential: Uint8Array }; result: Uint8Array };
  mlsGroupGet: { params: { groupId: Uint8Array; clientId: Uint8Array }; result: Uint8Array };
  mlsGroupJoin: { params: { clientId: Uint8Array; welcome: Uint8Array }; result: Uint8Array };
  mlsGetGroupId: { params: { message: Uint8Array }; result: MLSBytes };
  mlsGetGroupEpoch: { params: { message: Uint8Array }; result: MLSBytes };
  viewDeleteState: { params: { groupId: Uint8Array; clientId: Uint8Array }; result: null };
  viewAdd: { params: { groupId: Uint8Array; clientId: Uint8Array; keyPackage: Uint8Array }; result: MLSCommitOutput };
  viewProposeAdd: { params: { groupId: Uint8Array; clientId: Uint8Array; keyPackage: Uint8Array }; result: MLSBytes };
  viewRemove: { params: { groupId: Uint8Array; clientId: Uint8Array; removed: Uint8Array }; result: MLSCommitOutput };
  viewProposeRemove: { params: { groupId: Uint8Array; clientId: Uint8Array; removed: Uint8Array }; result: MLSBytes };
  viewClose: { params: { groupId: Uint8Array; clientId: Uint8Array }; result: MLSCommitOutput };
  viewDetails: { params: { groupId: Uint8Array; clientId: Uint8Array }; result: MLSGroupDetails };
  viewInspect: { params: { groupId: Uint8Array; clientId: Uint8Array }; result: MLSInspection };
  viewSend: { params: { groupId: Uint8Array; clientId: Uint8Array; message: Uint8Array }; result: MLSBytes };
  viewReceive: { params: { groupId: Uint8Array; clientId: Uint8Array; message: Uint8Array }; result: MLSReceived };
  viewHasPendingProposals: { params: { groupId: Uint8Array; clientId: Uint8Array }; result: boolean };
  viewClearPendingProposals: { params: { groupId: Uint8Array; clientId: Uint8Array }; result: boolean };
  viewHasPendingCommit: { params: { groupId: Uint8Array; clientId: Uint8Array }; result: boolean };
  viewClearPendingCommit: { params: { groupId: Uint8Array; clientId: Uint8Array }; result: boolean };
  viewApplyPendingCommit: { params: { groupId: Uint8Array; clientId: Uint8Array }; result: MLSReceived };
  viewExportSecret: {
    params: { groupId: Uint8Array; clientId: Uint8Array; label: Uint8Array; context: Uint8Array; length: number };
    result: MLSExporterOutput;
  };
}

/** The requests that the worker answers by itself (`accounts.js`). */
export interface WorkerRequests {
  accounts: { params: object; result: Account[] };
  openAccount: { params: { client: number; account: string; takeBack: boolean }; result: OpenState };
  deleteAccount: { params: { account: string }; result: null };
}

/** Every request of the page, by name. */
export type AllRequests = Requests & WorkerRequests;

/** Every event of the client in Python, by name, with what it carries. */
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
    /** Counts the messages that the client has told of; one that is told again has the same. */
    number: number;
    /** The domains whose delivery services it came through; none if it had to wait here until it could be read. */
    via: string[];
  };
  /** The group moved to another epoch: a member came, went or changed its keys. */
  epoch: { client: number; groupId: Uint8Array; details: GroupDetails };
  /** The client is no longer a member. */
  removed: { client: number; groupId: Uint8Array };
  /** The group has gone on without the client, and it cannot follow: by itself it comes back only where a service orders commits. */
  lost: { client: number; groupId: Uint8Array };
  /** A message of the client's was sent on a branch of the group that lost, and it is no longer there to send it again. */
  unsent: { client: number; groupId: Uint8Array; data: Uint8Array };
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

/** The events of the worker itself. */
export interface WorkerEvents {
  /** The tab that ran the client has gone; it runs in this one from now on. */
  lead: { client: number };
  /** Another tab, or this one, has exported or deleted the account; the client is no more. */
  closed: { client: number; reason: "exported" | "deleted" };
}

type AllEvents = Events & WorkerEvents;

/** An event as it crosses from the worker. */
export type EventMessage = { [Name in keyof AllEvents]: { name: Name; detail: AllEvents[Name] } }[keyof AllEvents];

export interface LoadOptions {
  crypto: CryptoChoice;
  /** Whether to start from a snapshot if there is one. */
  snapshot: boolean;
  /** Address of the Pyodide distribution, if not the one that is served there. */
  pyodide?: string;
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

/** What `loadPyodide()` gives, and PyScript as `interpreter`: as much of it as `install` of `python.js` needs. */
export interface Pyodide {
  /** Load packages, by their addresses. */
  loadPackage(
    addresses: string[],
    options: { errorCallback(error: string): void; messageCallback(message: string): void },
  ): Promise<unknown>;
  /** Make a JavaScript module importable in Python. */
  registerJsModule(name: string, module: object): void;
}
