// The interface of docs/web-api.md in Web IDL: what a browser would offer, had it this built in.
//
// As it is, the names are exported by an ES module, and nothing is added to the global object. What differs from an
// interface of a browser: `MLSError` inherits from `Error`, of which Web IDL knows nothing; constructors of the other three
// exist, but are none of the interface; dates are Unix seconds in a `bigint`.
// `node web/checks/web_idl.mjs` checks this file, and compares it with the module's types.

[Exposed=Window]
interface MLSFederation : EventTarget {
  static Promise<MLSFederation> load(optional MLSLoadOptions options = {});
  static Promise<ServiceWorkerRegistration> registerServiceWorker(optional ServiceWorkerOptions options = {});
  readonly attribute MLSCryptoProvider crypto;
  readonly attribute StartedFrom startedFrom;
  Promise<DeliveryService> setDeliveryService(DOMString domain, USVString url, optional MLSCallOptions options = {});
  Promise<Client> createClient(ClientOptions options);
  Promise<Client> createDevice(ClientOptions options);
  Promise<sequence<Account>> accounts();
  Promise<Client> openClient(DOMString account, optional OpenOptions options = {});
  Promise<Account> importAccount(Uint8Array data, DOMString passphrase);
  Promise<undefined> deleteAccount(DOMString account);
  Promise<boolean> persist();
  Promise<DecodedPart> decode(Uint8Array octets);
  Promise<RatchetTree> ratchetTree(Uint8Array octets);
  Promise<sequence<SelfTestResult>> selfTest(record<DOMString, (DOMString or Uint8Array)> files, optional SelfTestOptions options = {});
  undefined dispose();
};

[Exposed=Window]
interface Client : EventTarget {
  readonly attribute DOMString identity;
  readonly attribute Uint8Array clientId;
  readonly attribute DOMString fingerprint;
  readonly attribute Fanout fanout;
  readonly attribute (DOMString or undefined) account;
  readonly attribute boolean registered;
  readonly attribute boolean leads;
  readonly attribute FrozenArray<Group> groups;

  Promise<undefined> setFanout(Fanout fanout);
  Promise<undefined> clearLogFault(DOMString domain, optional MLSCallOptions options = {});
  Promise<sequence<KeyBundle>> fetchKeyBundles(DOMString identity, optional MLSCallOptions options = {});
  Promise<Group> createGroup(optional GroupOptions options = {});
  Promise<sequence<Delivery>> flush(optional MLSCallOptions options = {});
  Promise<undefined> close();
  Promise<Uint8Array> exportAccount(DOMString passphrase);

  Promise<DOMString> deviceRequest();
  Promise<undefined> register(optional MLSCallOptions options = {});
  Promise<Uint8Array> admitDevice(DOMString request, optional MLSCallOptions options = {});
  Promise<sequence<Device>> devices(optional MLSCallOptions options = {});
  Promise<sequence<Group>> revokeDevice(Uint8Array clientId, optional MLSCallOptions options = {});
};

[Exposed=Window]
interface Group : EventTarget {
  readonly attribute Uint8Array id;

  Promise<GroupDetails> details();
  Promise<GroupChange> add(DOMString identity, optional MLSCallOptions options = {});
  Promise<GroupChange> remove(DOMString identity, optional MLSCallOptions options = {});
  Promise<GroupChange> removeDevice(DOMString identity, Uint8Array clientId, optional MLSCallOptions options = {});
  Promise<GroupChange> update(optional MLSCallOptions options = {});
  Promise<SentMessage> send((DOMString or Uint8Array) content, optional MLSCallOptions options = {});
  Promise<sequence<SrtpKeys>> exportSrtpKeys(SrtpOptions options);
  Promise<SFrameKeys> exportSFrameKeys();
  Promise<Uint8Array> exportRatchetTree();
  Promise<bigint> reserveSFrameContext();
  Promise<Uint8Array> exportSecret(DOMString label, Uint8Array context, unsigned long length);
};

[Exposed=Window]
interface Call : EventTarget {
  constructor(Group group, optional CallOptions options = {});
  readonly attribute Group group;
  readonly attribute DOMString session;
  readonly attribute FrozenArray<Participant> participants;

  Promise<undefined> join();
  undefined setTrack(MediaKind kind, MediaStreamTrack? track);
  Promise<undefined> leave();
  undefined dispose();
};

[Exposed=Window]
interface MLSError {
  constructor(DOMString code, DOMString message, optional object details);
  readonly attribute DOMString code;
  readonly attribute DOMString message;
  readonly attribute object details;
};

// The types of the events, each a `CustomEvent`.

enum MLSFederationEventType { "error", "snapshot" };
enum ClientEventType {
  "group", "message", "epoch", "removed", "lost", "unsent", "connection", "undelivered", "devices", "lead", "closed", "error"
};
enum GroupEventType { "message", "epoch", "removed", "lost", "unsent", "error" };
enum CallEventType { "participant", "participantleft", "state", "statistics", "keys", "error", "ended" };

// What is given.

enum CryptoChoice { "auto", "pyca", "webjs" };
enum MLSCryptoProvider { "pyca", "webjs" };
enum StartedFrom { "files", "snapshot" };
enum Fanout { "client", "server" };
enum CommitOrdering { "service", "members" };
enum SFrameCipherSuite {
  "AES_128_CTR_HMAC_SHA256_80", "AES_128_CTR_HMAC_SHA256_64", "AES_128_CTR_HMAC_SHA256_32",
  "AES_128_GCM_SHA256_128", "AES_256_GCM_SHA512_128"
};
enum MediaKind { "audio", "video" };
enum ParticipantState { "connecting", "waiting-for-keys", "verified", "cannot-decrypt", "left" };
enum RTCIceTransportPolicy { "all", "relay" }; // WebRTC's own
enum SrtpProfile { "AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM", "AEAD_AES_256_GCM" };

callback ProgressCallback = undefined (Progress progress);
callback SelfTestCallback = undefined (SelfTestResult result);

dictionary MLSCallOptions {
  AbortSignal signal;
};

dictionary MLSLoadOptions {
  USVString base;
  USVString pyodide;
  CryptoChoice crypto;
  ProgressCallback onprogress;
  boolean snapshot;
  AbortSignal signal;
};

dictionary CallOptions {
  MediaStream stream;
  sequence<RTCIceServer> iceServers;
  RTCIceTransportPolicy iceTransportPolicy;
  unsigned long switchDelay;
  unsigned long overlap;
  unsigned long linger;
  unsigned long patience;
  USVString base;
};

dictionary ServiceWorkerOptions {
  USVString script;
  sequence<USVString> also;
};

dictionary ClientOptions {
  required DOMString identity;
  Fanout fanout;
  boolean keep;
  AbortSignal signal;
};

dictionary OpenOptions {
  boolean takeBack;
  AbortSignal signal;
};

dictionary GroupOptions {
  unsigned short cipherSuite;
  Uint8Array groupId;
  CommitOrdering ordering;
};

dictionary SelfTestOptions {
  SelfTestCallback onresult;
  AbortSignal signal;
};

dictionary SrtpOptions {
  required SrtpProfile profile;
};

// What is returned.

enum LoadStage { "runtime", "python", "packages", "ready" };
enum DeliveryStatus { "accepted", "relayed", "unknown", "refused", "pending", "inbox-full", "queue-full" };

dictionary Progress {
  required LoadStage stage;
  required unsigned long long received;
  required unsigned long long total;
};

dictionary DeliveryService {
  required DOMString domain;
  required USVString url;
  required sequence<unsigned short> versions;
};

dictionary Account {
  required DOMString account;
  required DOMString identity;
  required DOMString clientId;
  required boolean exported;
};

dictionary Device {
  required Uint8Array clientId;
  required DOMString fingerprint;
  required boolean self;
  required boolean active;
};

dictionary Named {
  required unsigned short value;
  required DOMString name;
};

dictionary Credential {
  required DOMString credentialType;
  required DOMString identity;
  required Named signatureScheme;
  required Uint8Array publicKey;
  required DOMString fingerprint;
};

dictionary UserInitKey {
  required Uint8Array userInitKeyId;
  required sequence<Named> cipherSuites;
  required sequence<Uint8Array> initKeys;
  required Credential credential;
  required Uint8Array signature;
};

dictionary KeyPackage {
  required Uint8Array keyPackageRef;
  required DOMString version;
  required Named cipherSuite;
  required Uint8Array initKey;
  required Uint8Array encryptionKey;
  required Uint8Array signatureKey;
  required bigint notBefore;
  required bigint notAfter;
  required Uint8Array signature;
};

dictionary KeyBundle {
  required DOMString identity;
  required DOMString domain;
  required UserInitKey userInitKey;
  required KeyPackage keyPackage;
  required sequence<Uint8Array> keyPackageRefs;
  required boolean lastResort;
  required sequence<DOMString> verified;
};

// An object that stays the same while the participant is in the call, and changes.
dictionary Participant {
  required unsigned long leafIndex;
  required DOMString identity;
  required DOMString domain;
  required DOMString session;
  required MediaStream stream;
  required ParticipantState state;
  required boolean audio;
  required boolean video;
  required unsigned long long framesProtected;
  required unsigned long long framesOpened;
  required unsigned long long framesRefused;
  required record<DOMString, unsigned long long> refusals;
  required bigint? keyId;
  required double longestVideoGap;
};

dictionary Member {
  required DOMString identity;
  required unsigned long leafIndex;
  required boolean self;
  required DOMString fingerprint;
};

dictionary GroupDetails {
  required Uint8Array groupId;
  required bigint epoch;
  required unsigned short cipherSuite;
  required DOMString cipherSuiteName;
  required DOMString safetyNumber;
  required sequence<Member> members;
};

dictionary Delivery {
  required DOMString identity;
  required DeliveryStatus status;
  required Uint8Array messageId;
  required sequence<DOMString> via;
};

dictionary SentMessage {
  required bigint epoch;
  required sequence<Delivery> deliveries;
};

dictionary GroupChange : GroupDetails {
  required sequence<Delivery> deliveries;
};

dictionary SrtpKeys {
  required DOMString identity;
  required unsigned long leafIndex;
  required Uint8Array key;
  required Uint8Array salt;
  required Uint8Array mki;
};

dictionary SFrameKeys {
  required bigint epoch;
  required SFrameCipherSuite cipherSuite;
  required Uint8Array baseKey;
  required unsigned long epochBits;
  required unsigned long senderBits;
  required sequence<SFrameSender> senders;
};

dictionary SFrameSender {
  required unsigned long leafIndex;
  required DOMString identity;
  required boolean self;
  required bigint keyId;
};

dictionary Fault {
  required DOMString code;
  required DOMString message;
  required object details;
};

dictionary VectorFailure {
  required unsigned long entry;
  required Fault fault;
};

dictionary VectorResult {
  required DOMString family;
  required unsigned long passed;
  required unsigned long failed;
  required unsigned long skipped;
  required sequence<VectorFailure> failures;
};

dictionary SelfTestResult : VectorResult {
  required DOMString name;
  MLSError error;
};

// What a message holds, and a ratchet tree, to be looked at.

dictionary DecodedPart {
  required DOMString name;
  required DOMString type;
  required DecodedKind kind;
  required unsigned long offset;
  required unsigned long size;
  (Uint8Array or unsigned long or bigint) value;
  DOMString label;
  required sequence<DecodedPart> parts;
  required unsigned long omitted;
  DOMString encrypted;
  Fault fault;
};

enum DecodedKind { "struct", "vector", "octets", "number", "enum", "absent" };

dictionary RatchetTree {
  required unsigned long leafCount;
  required unsigned long root;
  required sequence<RatchetTreeNode> nodes;
  RatchetTreeContext groupContext;
};

dictionary RatchetTreeContext {
  required Uint8Array groupId;
  required bigint epoch;
  required unsigned short cipherSuite;
  required Uint8Array treeHash;
  required Uint8Array confirmedTranscriptHash;
};

dictionary RatchetTreeNode {
  required unsigned long nodeIndex;
  required unsigned long level;
  unsigned long parent;
  required boolean blank;
  required DOMString identity;
  DOMString source;
  Uint8Array encryptionKey;
  required sequence<unsigned long> unmergedLeaves;
};
