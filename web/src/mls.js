/**
 * The interface of Firefox's experimental `MLS` object, over this project's engine: a page written for Firefox's runs in any browser.
 *
 * ```js
 * import { MLS } from "/mls-federation/mls.js";
 * const mls = new MLS();
 * const alice = await mls.generateIdentity();
 * const group = await mls.groupCreate(alice, await mls.generateCredential("alice"));
 * ```
 *
 * The engine is loaded at the first call, once for a page. docs/mls-facade.md says how this differs from Firefox's.
 *
 * @import {
 *   MLSBytes, MLSCommitOutput, MLSExporterOutput, MLSGroupDetails, MLSInspection, MLSReceived, Requests,
 * } from "./protocol.js"
 */
import { MLSFederation } from "./index.js";
import { request } from "./internal.js";
import { checkCount, lengthOf, octetsOf } from "./mls-arguments.js";

/**
 * Octets, plain or with what they are.
 *
 * @typedef {MLSBytes | Uint8Array} MLSBytesOrUint8Array
 */
/**
 * The same, or a string, which is taken as UTF-8.
 *
 * @typedef {MLSBytes | Uint8Array | string} MLSBytesOrUint8ArrayOrUTF8String
 */

// -- the engine

/** @type {Promise<MLSFederation> | undefined} */
let engine;

/**
 * @param {Promise<MLSFederation>} loading
 * @returns {Promise<MLSFederation>}
 */
function engage(loading) {
  const forget = () => {
    if (engine === loading) engine = undefined;
  };
  // The state is kept apart from the engine, so after a failure the next call starts another one and goes on.
  loading.then((loaded) => loaded.addEventListener("error", forget), forget);
  engine = loading;
  return loading;
}

/**
 * One request to the worker; what fails is a `DOMException`, as in Firefox, with our `MLSError` as its `cause`.
 *
 * @template {keyof Requests} Method
 * @param {Method} method
 * @param {Requests[Method]["params"]} params
 * @returns {Promise<Requests[Method]["result"]>}
 */
async function ask(method, params) {
  const asked = engine ?? engage(MLSFederation.load());
  try {
    return await (await asked)[request](method, params);
  } catch (error) {
    const { code, message } = /** @type {import("./index.js").MLSError} */ (error);
    if (code === "disposed" && engine === asked) engine = undefined;
    throw Object.assign(new DOMException(message, "UnknownError"), { cause: error });
  }
}

// -- the interface

/** Makes identities, key packages and groups; its state belongs to the origin, and outlives the page. */
export class MLS {
  // So that methods called on something else are refused.
  #brand = true;

  /**
   * Load the engine now and not at the first call. Not in Firefox's.
   *
   * @param {Parameters<typeof MLSFederation.load>[0]} [options] as for `MLSFederation.load`; without effect if the engine is there
   * @returns {Promise<void>}
   * @throws {import("./index.js").MLSError} as `MLSFederation.load`
   */
  static async load(options = {}) {
    await (engine ?? engage(MLSFederation.load(options)));
  }

  /**
   * Run on an engine that the page has loaded already. Not in Firefox's.
   *
   * @param {MLSFederation} loaded
   */
  static use(loaded) {
    void engage(Promise.resolve(loaded));
  }

  /**
   * Forget all identities, key packages and groups of this origin.
   *
   * @returns {Promise<void>}
   */
  async deleteState() {
    this.#brand;
    await ask("mlsDeleteState", {});
  }

  /**
   * Make a signature key pair.
   *
   * @returns {Promise<MLSBytes>} `client-identifier`: SHA-256 of the public key
   */
  async generateIdentity() {
    this.#brand;
    return ask("mlsGenerateIdentity", {});
  }

  /**
   * Make a basic credential (RFC 9420 §5.3).
   *
   * @param {MLSBytesOrUint8ArrayOrUTF8String} credentialContent who the client says it is
   * @returns {Promise<MLSBytes>} `credential-basic`
   */
  async generateCredential(credentialContent) {
    this.#brand;
    const method = "MLS.generateCredential";
    checkCount(arguments, 1, method);
    const content = octetsOf(credentialContent, {
      method,
      name: "credential content",
      type: "credential-basic",
      orString: true,
    });
    return ask("mlsGenerateCredential", { content });
  }

  /**
   * Make keys by which others can add the client to one group.
   *
   * @param {MLSBytesOrUint8Array} clientId
   * @param {MLSBytesOrUint8Array} credential
   * @returns {Promise<MLSBytes>} `key-package`
   */
  async generateKeyPackage(clientId, credential) {
    this.#brand;
    const method = "MLS.generateKeyPackage";
    checkCount(arguments, 2, method);
    return ask("mlsGenerateKeyPackage", who(clientId, credential, method));
  }

  /**
   * Start a group.
   *
   * @param {MLSBytesOrUint8Array} clientId
   * @param {MLSBytesOrUint8Array} credential
   * @returns {Promise<MLSGroupView>} of a new group with the client as its only member
   */
  async groupCreate(clientId, credential) {
    this.#brand;
    const method = "MLS.groupCreate";
    checkCount(arguments, 2, method);
    const params = who(clientId, credential, method);
    return new MLSGroupView(inside, await ask("mlsGroupCreate", params), params.clientId);
  }

  /**
   * Find a group again, on another visit for one.
   *
   * @param {MLSBytesOrUint8Array} groupId
   * @param {MLSBytesOrUint8Array} clientId
   * @returns {Promise<MLSGroupView>} of a group that the client is in
   */
  async groupGet(groupId, clientId) {
    this.#brand;
    const method = "MLS.groupGet";
    checkCount(arguments, 2, method);
    const params = {
      groupId: octetsOf(groupId, { method, name: "group identifier", type: "group-identifier" }),
      clientId: clientOf(clientId, method),
    };
    return new MLSGroupView(inside, await ask("mlsGroupGet", params), params.clientId);
  }

  /**
   * Join a group by a Welcome.
   *
   * @param {MLSBytesOrUint8Array} clientId whose key package the Welcome is for
   * @param {MLSBytesOrUint8Array} welcome
   * @returns {Promise<MLSGroupView>}
   */
  async groupJoin(clientId, welcome) {
    this.#brand;
    const method = "MLS.groupJoin";
    checkCount(arguments, 2, method);
    const params = {
      clientId: clientOf(clientId, method),
      welcome: octetsOf(welcome, { method, name: "welcome", type: "welcome" }),
    };
    return new MLSGroupView(inside, await ask("mlsGroupJoin", params), params.clientId);
  }

  /**
   * Which group a message is of; it need not be one of ours.
   *
   * @param {MLSBytesOrUint8Array} message for the members of a group
   * @returns {Promise<MLSBytes>} `group-identifier`
   */
  async getGroupIdFromMessage(message) {
    this.#brand;
    const method = "MLS.getGroupIdFromMessage";
    checkCount(arguments, 1, method);
    return ask("mlsGetGroupId", { message: octetsOf(message, { method, name: "message" }) });
  }

  /**
   * Which epoch a message is of.
   *
   * @param {MLSBytesOrUint8Array} message for the members of a group
   * @returns {Promise<MLSBytes>} `group-epoch`
   */
  async getGroupEpochFromMessage(message) {
    this.#brand;
    const method = "MLS.getGroupEpochFromMessage";
    checkCount(arguments, 1, method);
    return ask("mlsGetGroupEpoch", { message: octetsOf(message, { method, name: "message" }) });
  }
}

/**
 * @param {unknown} clientId
 * @param {string} method
 */
const clientOf = (clientId, method) => octetsOf(clientId, { method, name: "client identifier", type: "client-identifier" });

/**
 * @param {unknown} clientId
 * @param {unknown} credential
 * @param {string} method
 */
const who = (clientId, credential, method) => ({
  clientId: clientOf(clientId, method),
  credential: octetsOf(credential, { method, name: "credential", type: "credential-basic" }),
});

/**
 * @param {unknown} keyPackage
 * @param {string} method
 */
const packageOf = (keyPackage, method) => octetsOf(keyPackage, { method, name: "key package", type: "key-package" });

/** Only this module makes views. */
const inside = Symbol("inside");

/** One client in one group. */
export class MLSGroupView {
  #groupId;
  #clientId;

  /** @param {[symbol, Uint8Array, Uint8Array]} made by `MLS` alone: its secret, group and client */
  constructor(...made) {
    const [maker, groupId, clientId] = made;
    if (maker !== inside) throw new TypeError("Illegal constructor.");
    // What the page sees of them is its own: writing to it changes nothing here.
    this.#groupId = { own: groupId, shown: groupId.slice() };
    this.#clientId = { own: clientId, shown: clientId.slice() };
  }

  /**
   * Names the group.
   *
   * @returns {Uint8Array}
   */
  get groupId() {
    return this.#groupId.shown;
  }

  /**
   * Whose view it is: SHA-256 of the client's signature public key.
   *
   * @returns {Uint8Array}
   */
  get clientId() {
    return this.#clientId.shown;
  }

  get #view() {
    return { groupId: this.#groupId.own, clientId: this.#clientId.own };
  }

  /**
   * Forget the group, for this client.
   *
   * @returns {Promise<void>}
   */
  async deleteState() {
    await ask("viewDeleteState", this.#view);
  }

  /**
   * Commit to adding a client. The commit takes effect when it is fed to `receive`, or by `applyPendingCommit`.
   *
   * @param {MLSBytesOrUint8Array} keyPackage
   * @returns {Promise<MLSCommitOutput>}
   */
  async add(keyPackage) {
    const view = this.#view;
    const method = "MLSGroupView.add";
    checkCount(arguments, 1, method);
    return ask("viewAdd", { ...view, keyPackage: packageOf(keyPackage, method) });
  }

  /**
   * Propose to add a client.
   *
   * @param {MLSBytesOrUint8Array} keyPackage
   * @returns {Promise<MLSBytes>} `proposal`
   */
  async proposeAdd(keyPackage) {
    const view = this.#view;
    const method = "MLSGroupView.proposeAdd";
    checkCount(arguments, 1, method);
    return ask("viewProposeAdd", { ...view, keyPackage: packageOf(keyPackage, method) });
  }

  /**
   * Commit to removing a member.
   *
   * @param {MLSBytesOrUint8Array} remClientId
   * @returns {Promise<MLSCommitOutput>}
   */
  async remove(remClientId) {
    const view = this.#view;
    const method = "MLSGroupView.remove";
    checkCount(arguments, 1, method);
    return ask("viewRemove", { ...view, removed: clientOf(remClientId, method) });
  }

  /**
   * Propose to remove a member.
   *
   * @param {MLSBytesOrUint8Array} remClientId may be the client itself
   * @returns {Promise<MLSBytes>} `proposal`
   */
  async proposeRemove(remClientId) {
    const view = this.#view;
    const method = "MLSGroupView.proposeRemove";
    checkCount(arguments, 1, method);
    return ask("viewProposeRemove", { ...view, removed: clientOf(remClientId, method) });
  }

  /**
   * Commit to removing everybody else.
   *
   * @returns {Promise<MLSCommitOutput>}
   */
  async close() {
    return ask("viewClose", this.#view);
  }

  /**
   * Who is in the group, and in which epoch it is.
   *
   * @returns {Promise<MLSGroupDetails>}
   */
  async details() {
    return ask("viewDetails", this.#view);
  }

  /**
   * What the client can show of the group, its ratchet tree too. Not in Firefox's.
   *
   * @returns {Promise<MLSInspection>}
   */
  async inspect() {
    return ask("viewInspect", this.#view);
  }

  /**
   * Encrypt a message for the group.
   *
   * @param {MLSBytesOrUint8ArrayOrUTF8String} message
   * @returns {Promise<MLSBytes>} `application-message-ciphertext`
   */
  async send(message) {
    const view = this.#view;
    const method = "MLSGroupView.send";
    checkCount(arguments, 1, method);
    const octets = octetsOf(message, {
      method,
      name: "message",
      type: "application-message-plaintext",
      orString: true,
      orEmpty: true,
    });
    return ask("viewSend", { ...view, message: octets });
  }

  /**
   * Take a message of the group: application data, a commit, which may be our own, or a proposal, to which a commit is made at once.
   *
   * @param {MLSBytesOrUint8Array} message
   * @returns {Promise<MLSReceived>}
   */
  async receive(message) {
    const view = this.#view;
    const method = "MLSGroupView.receive";
    checkCount(arguments, 1, method);
    return ask("viewReceive", { ...view, message: octetsOf(message, { method, name: "received message" }) });
  }

  /**
   * Whether there are proposals of this epoch, our own or others', that a commit would take in.
   *
   * @returns {Promise<boolean>}
   */
  async hasPendingProposals() {
    return ask("viewHasPendingProposals", this.#view);
  }

  /**
   * Forget the proposals of this epoch. A commit that was made stays as it is.
   *
   * @returns {Promise<boolean>} true
   */
  async clearPendingProposals() {
    return ask("viewClearPendingProposals", this.#view);
  }

  /**
   * Whether a commit of ours waits to be applied.
   *
   * @returns {Promise<boolean>}
   */
  async hasPendingCommit() {
    return ask("viewHasPendingCommit", this.#view);
  }

  /**
   * Forget the commit that we made, if another was taken in its place.
   *
   * @returns {Promise<boolean>} true
   */
  async clearPendingCommit() {
    return ask("viewClearPendingCommit", this.#view);
  }

  /**
   * Go on to the epoch of our own commit.
   *
   * @returns {Promise<MLSReceived>}
   */
  async applyPendingCommit() {
    return ask("viewApplyPendingCommit", this.#view);
  }

  /**
   * A secret that all members of the epoch can derive, and nobody else.
   *
   * @param {MLSBytesOrUint8ArrayOrUTF8String} label what it is for
   * @param {MLSBytesOrUint8Array} context
   * @param {number} length octets wanted
   * @returns {Promise<MLSExporterOutput>}
   */
  async exportSecret(label, context, length) {
    const view = this.#view;
    const method = "MLSGroupView.exportSecret";
    checkCount(arguments, 3, method);
    const params = {
      label: octetsOf(label, { method, name: "label", type: "exporter-label", orString: true }),
      context: octetsOf(context, { method, name: "context", type: "exporter-context", orEmpty: true }),
      length: lengthOf(length),
    };
    return ask("viewExportSecret", { ...view, ...params });
  }
}

// As the browser's own interfaces look to a page.
for (const [made, name] of /** @type {[Function, string][]} */ ([
  [MLS, "MLS"],
  [MLSGroupView, "MLSGroupView"],
])) {
  for (const [member, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(made.prototype))) {
    if (member !== "constructor") Object.defineProperty(made.prototype, member, { ...descriptor, enumerable: true });
  }
  Object.defineProperty(made.prototype, Symbol.toStringTag, { value: name, configurable: true });
}
