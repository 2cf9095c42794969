/**
 * Members that run ts-mls, for the tests to be in one group with; in Node (`ts_mls_peer.js`) or in a page.
 *
 * A request is a JSON object on one line, `{"call": "commit", "member": "ben", ...}`, and so is its answer,
 * `{"result": ...}` or `{"error": {"name": ..., "message": ...}}`. Octets are hexadecimal. Messages are encoded
 * MLSMessages, so that nothing but what RFC 9420 puts on the wire passes between the implementations.
 *
 * Each member changes state as soon as it has made or read a message. Where ts-mls does otherwise than RFC 9420, what
 * is done about it is marked DEVIATION; `"unmended": true` leaves it as it is, for `test_ts_mls_deviations.py` to show.
 */

import { p256, p384, p521 } from "@noble/curves/nist.js";
import { bytesToHex as hex, hexToBytes as octets } from "@noble/curves/utils.js";
import {
  bytesToBase64,
  ciphersuites,
  createApplicationMessage,
  createCommit,
  createGroup,
  createGroupInfoWithExternalPubAndRatchetTree,
  createProposal,
  decodeMlsMessage,
  defaultAuthenticationService,
  defaultCapabilities,
  defaultKeyPackageEqualityConfig,
  defaultKeyRetentionConfig,
  defaultLifetimeConfig,
  defaultPaddingConfig,
  encodeMlsMessage,
  generateKeyPackageWithKey,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
  joinGroup,
  joinGroupExternal,
  makePskIndex,
  mlsExporter,
  processMessage,
  processPrivateMessage,
  processPublicMessage,
} from "ts-mls";
// DEVIATION update-proposal: the package does not export what signs a leaf.
import { signLeafNodeCommit } from "./node_modules/ts-mls/dist/src/leafNode.js";

const SECONDS_BEFORE_NOW = 3600n;
const SECONDS_AFTER_NOW = 7n * 86400n;

const CLIENT_CONFIG = {
  keyRetentionConfig: defaultKeyRetentionConfig,
  lifetimeConfig: { ...defaultLifetimeConfig, validateLifetimeOnReceive: true },
  keyPackageEqualityConfig: defaultKeyPackageEqualityConfig,
  paddingConfig: defaultPaddingConfig,
  authService: defaultAuthenticationService,
};

/**
 * @typedef {object} Member
 * @property {string} name
 * @property {any} suite
 * @property {{signKey: Uint8Array, publicKey: Uint8Array}} signatureKey
 * @property {{publicPackage: any, privatePackage: any} | undefined} keyPackage the latest
 * @property {any} state of the group that it is in
 * @property {{proposal: any, privateKey: Uint8Array} | undefined} update its own, proposed in this epoch
 * @property {Record<string, Uint8Array>} psks external ones, by base64 of their id
 */

/** @type {Map<string, Member>} */
const members = new Map();

/**
 * Answer a request.
 *
 * @param {string} line
 * @returns {Promise<string>}
 */
export async function answer(line) {
  const { call, ...given } = JSON.parse(line);
  try {
    return JSON.stringify({ result: await calls[call](given) });
  } catch (error) {
    return JSON.stringify({ error: { name: error.name, message: error.message } });
  }
}

// -- calls, by name

const calls = {
  /** A client with a fresh signature key. */
  async client({ member: name, suite: id, unmended }) {
    const named = Object.entries(ciphersuites).find(([, number]) => number === id);
    if (named === undefined) throw new Error(`ts-mls has no cipher suite ${id}`);
    const suite = await getCiphersuiteImpl(getCiphersuiteFromName(named[0]));
    const made = await suite.signature.keygen();
    const signatureKey = unmended ? made : withRfcPublicKey(made, suite.name);
    members.set(name, {
      name,
      suite,
      signatureKey,
      keyPackage: undefined,
      state: undefined,
      update: undefined,
      psks: {},
    });
    return {};
  },

  async keyPackage({ member: name }) {
    const member = known(name);
    member.keyPackage = await freshKeyPackage(member);
    return { message: encoded("mls_key_package", { keyPackage: member.keyPackage.publicPackage }) };
  },

  async create({ member: name, groupId }) {
    const member = known(name);
    const { publicPackage, privatePackage } = await freshKeyPackage(member);
    const id = octets(groupId);
    member.state = await createGroup(id, publicPackage, privatePackage, [], member.suite, CLIENT_CONFIG);
    return {};
  },

  async join({ member: name, welcome }) {
    const member = known(name);
    const message = decoded(welcome, "mls_welcome");
    const { publicPackage, privatePackage } = member.keyPackage;
    const psks = makePskIndex(undefined, member.psks);
    member.state = await joinGroup(
      message.welcome, publicPackage, privatePackage, psks, member.suite, undefined, undefined, CLIENT_CONFIG,
    );
    member.update = undefined;
    return {};
  },

  async commit({ member: name, proposals, isPublic }) {
    const member = known(name);
    const made = await createCommit(
      { state: member.state, cipherSuite: member.suite, pskIndex: pskIndex(member) },
      {
        wireAsPublicMessage: isPublic,
        extraProposals: proposals.map(proposalFrom),
        ratchetTreeExtension: true,
      },
    );
    member.state = made.newState;
    member.update = undefined;
    return {
      message: hex(encodeMlsMessage(made.commit)),
      welcome: made.welcome === undefined ? null : encoded("mls_welcome", { welcome: made.welcome }),
    };
  },

  async propose({ member: name, proposal, isPublic }) {
    const member = known(name);
    const made = await createProposal(member.state, isPublic, proposalFrom(proposal), member.suite);
    member.state = made.newState;
    return { message: hex(encodeMlsMessage(made.message)) };
  },

  async proposeUpdate({ member: name, isPublic }) {
    const member = known(name);
    const { proposal, privateKey } = await ownUpdate(member);
    const made = await createProposal(member.state, isPublic, proposal, member.suite);
    member.state = made.newState;
    member.update = { proposal, privateKey };
    return { message: hex(encodeMlsMessage(made.message)) };
  },

  async receive({ member: name, message: encodedMessage, unmended }) {
    const member = known(name);
    const message = decodedAny(encodedMessage);
    let kind;
    const accept = (incoming) => {
      kind = incoming.kind;
      return "accept";
    };
    const received = unmended
      ? await processMessage(message, member.state, pskIndex(member), accept, member.suite)
      : await read(message, await stateFor(member, message), member, accept);
    member.state = received.newState;
    if (received.kind === "applicationMessage") return { kind: "application", data: hex(received.message) };
    if (kind === "commit") member.update = undefined;
    if (member.state.groupActiveState.kind === "removedFromGroup") {
      member.state = undefined;
      return { kind: "removed" };
    }
    return { kind };
  },

  async send({ member: name, data }) {
    const member = known(name);
    const made = await createApplicationMessage(member.state, octets(data), member.suite);
    member.state = made.newState;
    return { message: encoded("mls_private_message", { privateMessage: made.privateMessage }) };
  },

  async groupInfo({ member: name, unmended }) {
    const member = known(name);
    const suite = unmended ? member.suite : writesExternalPub(member.suite);
    const groupInfo = await createGroupInfoWithExternalPubAndRatchetTree(member.state, [], suite);
    return { message: encoded("mls_group_info", { groupInfo }) };
  },

  async joinFromOutside({ member: name, groupInfo, resync, unmended }) {
    const member = known(name);
    const { publicPackage, privatePackage } = await freshKeyPackage(member);
    const message = decoded(groupInfo, "mls_group_info");
    const { length } = publicPackage.initKey;
    const suite = unmended ? member.suite : readsExternalPub(member.suite, length);
    const made = await joinGroupExternal(
      message.groupInfo, publicPackage, privatePackage, resync, suite, undefined, CLIENT_CONFIG,
    );
    member.state = made.newState;
    member.update = undefined;
    return { message: encoded("mls_public_message", { publicMessage: made.publicMessage }) };
  },

  async learnPsk({ member: name, id, secret }) {
    known(name).psks[bytesToBase64(octets(id))] = octets(secret);
    return {};
  },

  async leave({ member: name }) {
    known(name).state = undefined;
    return {};
  },

  async exported({ member: name, label, context, length }) {
    const { state, suite } = known(name);
    const { exporterSecret } = state.keySchedule;
    return { secret: hex(await mlsExporter(exporterSecret, label, octets(context), length, suite)) };
  },

  /** What the member believes of the group. */
  async view({ member: name }) {
    const { groupContext, keySchedule, ratchetTree, privatePath } = known(name).state;
    return {
      epoch: Number(groupContext.epoch),
      treeHash: hex(groupContext.treeHash),
      confirmedTranscriptHash: hex(groupContext.confirmedTranscriptHash),
      epochAuthenticator: hex(keySchedule.epochAuthenticator),
      ownLeaf: privatePath.leafIndex,
      members: ratchetTree.flatMap((node, index) =>
        node?.nodeType === "leaf" ? [[index / 2, hex(node.leaf.credential.identity)]] : [],
      ),
    };
  },
};

// -- their parts

const pskIndex = ({ state, psks }) => makePskIndex(state, psks);

function known(name) {
  const member = members.get(name);
  if (member === undefined) throw new Error(`no client ${name}`);
  return member;
}

/** DEVIATION compressed-keys: ts-mls compresses signature keys of the NIST curves, against RFC 9420, 5.1.1. */
function withRfcPublicKey(signatureKey, suiteName) {
  const curve = { P256: p256, P384: p384, P521: p521 }[suiteName.split("_").at(-1)];
  if (curve === undefined) return signatureKey;
  return { ...signatureKey, publicKey: curve.Point.fromBytes(signatureKey.publicKey).toBytes(false) };
}

function freshKeyPackage(member) {
  const now = BigInt(Math.floor(Date.now() / 1000));
  return generateKeyPackageWithKey(
    { credentialType: "basic", identity: new TextEncoder().encode(member.name) },
    defaultCapabilities(),
    { notBefore: now - SECONDS_BEFORE_NOW, notAfter: now + SECONDS_AFTER_NOW },
    [],
    member.signatureKey,
    member.suite,
  );
}

function proposalFrom({ type, keyPackage, leaf, id, nonce }) {
  switch (type) {
    case "add":
      return { proposalType: "add", add: { keyPackage: decoded(keyPackage, "mls_key_package").keyPackage } };
    case "remove":
      return { proposalType: "remove", remove: { removed: leaf } };
    case "psk":
      return {
        proposalType: "psk",
        psk: { preSharedKeyId: { psktype: "external", pskId: octets(id), pskNonce: octets(nonce) } },
      };
    case "extensions":
      return { proposalType: "group_context_extensions", groupContextExtensions: { extensions: [] } };
    default:
      throw new Error(`no proposal ${type}`);
  }
}

/** DEVIATION update-proposal: ts-mls frames, commits and applies Updates, but has no call that makes one. */
async function ownUpdate({ state, suite, signatureKey }) {
  const { leafIndex } = state.privatePath;
  const { hpkePublicKey: _, ...leaf } = state.ratchetTree[2 * leafIndex].leaf;
  const keys = await suite.hpke.generateKeyPair();
  const unsigned = {
    hpkePublicKey: await suite.hpke.exportPublicKey(keys.publicKey),
    signaturePublicKey: leaf.signaturePublicKey,
    credential: leaf.credential,
    capabilities: leaf.capabilities,
    leafNodeSource: "update",
    extensions: leaf.extensions,
    groupId: state.groupContext.groupId,
    leafIndex,
  };
  const leafNode = await signLeafNodeCommit(unsigned, signatureKey.signKey, suite.signature);
  return {
    proposal: { proposalType: "update", update: { leafNode } },
    privateKey: await suite.hpke.exportPrivateKey(keys.privateKey),
  };
}

/** DEVIATION update-proposal: to read a commit of its own Update, a member needs the new key in its state. */
async function stateFor(member, message) {
  const { state, update } = member;
  if (update === undefined) return state;
  let committed = false;
  await read(message, state, member, (incoming) => {
    committed =
      incoming.kind === "commit" && incoming.proposals.some(({ proposal }) => proposal === update.proposal);
    return "reject";
  });
  if (!committed) return state;
  const { privatePath } = state;
  const privateKeys = { ...privatePath.privateKeys, [2 * privatePath.leafIndex]: update.privateKey };
  return { ...state, privatePath: { ...privatePath, privateKeys } };
}

/** DEVIATION private-psk: what `processMessage` does, which forgets external PSKs where a message is private. */
async function read(message, state, member, callback) {
  const psks = pskIndex(member);
  switch (message.wireformat) {
    case "mls_private_message":
      return processPrivateMessage(state, message.privateMessage, psks, member.suite, callback);
    case "mls_public_message":
      return {
        kind: "newState",
        ...(await processPublicMessage(state, message.publicMessage, psks, member.suite, callback)),
      };
    default:
      throw new Error(`a ${message.wireformat} is not for the members of a group`);
  }
}

// DEVIATION external-pub: the extension's data is a struct of one `HPKEPublicKey`, so it begins with the key's
// length (RFC 9420, 12.4.3.2); ts-mls takes it for the bare key. Its key import and export are where to mend that.

function writesExternalPub(suite) {
  const exportPublicKey = async (key) => {
    const bare = await suite.hpke.exportPublicKey(key);
    return new Uint8Array([...(bare.length < 64 ? [bare.length] : [0x40, bare.length]), ...bare]);
  };
  return { ...suite, hpke: { ...suite.hpke, exportPublicKey } };
}

function readsExternalPub(suite, keyLength) {
  const importPublicKey = (key) =>
    suite.hpke.importPublicKey(key.length > keyLength ? key.slice(-keyLength) : key);
  return { ...suite, hpke: { ...suite.hpke, importPublicKey } };
}

function encoded(wireformat, content) {
  return hex(encodeMlsMessage({ version: "mls10", wireformat, ...content }));
}

function decoded(message, wireformat) {
  const content = decodedAny(message);
  if (content.wireformat !== wireformat) throw new Error(`${content.wireformat}, not ${wireformat}`);
  return content;
}

function decodedAny(message) {
  const found = decodeMlsMessage(octets(message), 0);
  if (found === undefined) throw new Error("ts-mls cannot decode the message");
  return found[0];
}
