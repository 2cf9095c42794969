/**
 * The side of ts-mls: members of one group that run it, in Node and in a browser's worker alike.
 *
 * It does what `ours.py` does, in the same order. ts-mls checks lifetimes here, as ours does, and adds no padding. Two things
 * differ: it commits Adds without a path, so its creator then commits once more, which is not measured, for the trees to be
 * alike; and its cryptography is WebCrypto's, where the browser or Node has it, with noble for the rest.
 */
import {
  acceptAll,
  createApplicationMessage,
  createCommit,
  createGroup,
  decodeGroupState,
  decodeMlsMessage,
  defaultAuthenticationService,
  defaultKeyPackageEqualityConfig,
  defaultKeyRetentionConfig,
  encodeGroupState,
  encodeMlsMessage,
  generateKeyPackageWithKey,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
  joinGroup,
  makePskIndex,
  mlsExporter,
  processPrivateMessage,
} from "../../tests/interop/node_modules/ts-mls/dist/src/index.js";

const SUITE = "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519";
const MONTH = 30n * 86400n;
const CONFIG = {
  keyRetentionConfig: defaultKeyRetentionConfig,
  lifetimeConfig: { maximumTotalLifetime: MONTH, validateLifetimeOnReceive: true },
  keyPackageEqualityConfig: defaultKeyPackageEqualityConfig,
  paddingConfig: { kind: "alwaysPad", paddingLength: 0 },
  authService: defaultAuthenticationService,
};
const CAPABILITIES = {
  versions: ["mls10"],
  ciphersuites: [SUITE],
  extensions: [],
  proposals: [],
  credentials: ["basic"],
};
const MESSAGES = 20;
const EPOCHS = 20;
const REPEATED = 20;

const text = (string) => new TextEncoder().encode(string);

export class TsMlsSide {
  /** @param {() => number} clock seconds */
  constructor(clock) {
    this.clock = clock;
    this.times = {};
  }

  /** Answer `{ call, ...arguments }`. */
  async call({ call, ...given }) {
    this.suite ??= await getCiphersuiteImpl(getCiphersuiteFromName(SUITE));
    return this[call](given);
  }

  // -- calls

  async prepare({ size }) {
    const now = BigInt(Math.floor(Date.now() / 1000));
    this.lifetime = { notBefore: now - 3600n, notAfter: now + MONTH / 2n };
    this.signatureKeys = [];
    this.own = [];
    for (let index = 0; index < size; index += 1) {
      this.signatureKeys.push(await this.suite.signature.keygen());
      this.own.push(await this.keyPackage(index));
    }
    this.offered = this.own.map(({ publicPackage }) => encoded("mls_key_package", { keyPackage: publicPackage }));
    this.committer = this.receiver = undefined;
    return {};
  }

  /** Two members commit, the first and the last, in a group of ours in which all others have. */
  async offer() {
    this.invited = [await this.keyPackage(0), await this.keyPackage(this.own.length - 1)];
    return this.invited.map(({ publicPackage }) => toHex(encoded("mls_key_package", { keyPackage: publicPackage })));
  }

  async adopt({ welcome }) {
    const [first, last] = await Promise.all(this.invited.map((own) => this.join(fromHex(welcome), own)));
    const earlier = await this.commit(first);
    const later = await this.commit(await this.processed(last, earlier.commit));
    this.committer = later.newState;
    this.receiver = await this.processed(earlier.newState, later.commit);
    return { state: encodeGroupState(this.receiver).length };
  }

  /** Of a group of two nobody can be replaced. */
  async fill() {
    const { newState: first, welcome } = await this.createAndAdd();
    const last = await this.join(welcome);
    const earlier = await this.commit(first);
    const later = await this.commit(await this.processed(last, earlier.commit));
    this.committer = later.newState;
    this.receiver = await this.processed(earlier.newState, later.commit);
    return {};
  }

  async round({ chains }) {
    this.times = {};
    for (let chain = 0; chain < chains; chain += 1) {
      await this.freshChain();
      if (this.committer !== undefined) await this.fullChain();
    }
    return this.times;
  }

  // -- the two chains

  async freshChain() {
    await this.timed(
      "key_package",
      async () => {
        for (let time = 0; time < REPEATED; time += 1) {
          encoded("mls_key_package", { keyPackage: (await this.keyPackage(0)).publicPackage });
        }
      },
      REPEATED,
    );
    const { newState: added, welcome } = await this.timed("create_and_add", () => this.createAndAdd());
    const joined = await this.timed("join", () => this.join(welcome));
    const first = await this.commit(added);
    const member = await this.processed(joined, first.commit);
    const epochs = this.epochs();
    let pending;
    await this.timed(
      "commit_fresh",
      async () => {
        for (let time = 0; time < epochs; time += 1) pending = await this.commit(member);
      },
      epochs,
    );
    await this.timed(
      "process_fresh",
      async () => {
        for (let time = 0; time < epochs; time += 1) await this.processed(first.newState, pending.commit);
      },
      epochs,
    );
  }

  // As often in a row as ours, where that is a matter of milliseconds.
  epochs() {
    return this.own.length <= 50 ? EPOCHS : 1;
  }

  async fullChain() {
    const epochs = this.epochs();
    const commits = [];
    await this.timed(
      "commit_full",
      async () => {
        for (let epoch = 0; epoch < epochs; epoch += 1) {
          const { newState, commit } = await this.commit(this.committer);
          this.committer = newState;
          commits.push(commit);
        }
      },
      epochs,
    );
    await this.timed(
      "process_full",
      async () => {
        for (const commit of commits) this.receiver = await this.processed(this.receiver, commit);
      },
      epochs,
    );
    const { committer, receiver } = this;

    const data = new Uint8Array(1000);
    const first = await this.send(committer, data);
    const reading = await this.read(receiver, first.message);
    const messages = [];
    await this.timed(
      "encrypt",
      async () => {
        let state = first.state;
        for (let number = 0; number < MESSAGES; number += 1) {
          const sent = await this.send(state, data);
          state = sent.state;
          messages.push(sent.message);
        }
      },
      MESSAGES,
    );
    await this.timed(
      "decrypt",
      async () => {
        let state = reading;
        for (const message of messages) state = await this.read(state, message);
      },
      MESSAGES,
    );
    const { exporterSecret } = committer.keySchedule;
    await this.timed(
      "export",
      async () => {
        for (let time = 0; time < REPEATED; time += 1) {
          await mlsExporter(exporterSecret, "benchmark", text("context"), 32, this.suite);
        }
      },
      REPEATED,
    );
    const saved = await this.timed("save", async () => encodeGroupState(receiver));
    await this.timed("load", async () => loaded(saved));
  }

  // -- operations, from octets to octets

  keyPackage(index) {
    return generateKeyPackageWithKey(
      { credentialType: "basic", identity: text(`member-${String(index).padStart(5, "0")}@a`) },
      CAPABILITIES,
      this.lifetime,
      [],
      this.signatureKeys[index],
      this.suite,
    );
  }

  async createAndAdd() {
    const { publicPackage, privatePackage } = this.own[0];
    const id = text("benchmark-group!");
    const state = await createGroup(id, publicPackage, privatePackage, [], this.suite, CONFIG);
    const extraProposals = this.offered
      .slice(1)
      .map((offered) => ({ proposalType: "add", add: { keyPackage: decoded(offered).keyPackage } }));
    const { newState, commit, welcome } = await createCommit(
      { state, cipherSuite: this.suite },
      { extraProposals, ratchetTreeExtension: true },
    );
    return { newState, commit: encodeMlsMessage(commit), welcome: encoded("mls_welcome", { welcome }) };
  }

  join(message, { publicPackage, privatePackage } = this.own.at(-1)) {
    const { welcome } = decoded(message);
    const psks = makePskIndex(undefined, {});
    return joinGroup(welcome, publicPackage, privatePackage, psks, this.suite, undefined, undefined, CONFIG);
  }

  async commit(state) {
    const { newState, commit } = await createCommit({ state, cipherSuite: this.suite });
    return { newState, commit: encodeMlsMessage(commit) };
  }

  async processed(state, message) {
    const { privateMessage } = decoded(message);
    const read = await processPrivateMessage(state, privateMessage, makePskIndex(state, {}), this.suite, acceptAll);
    if (read.newState.groupContext.epoch === state.groupContext.epoch) throw new Error("the epoch did not change");
    return read.newState;
  }

  async send(state, data) {
    const { newState, privateMessage } = await createApplicationMessage(state, data, this.suite);
    return { state: newState, message: encoded("mls_private_message", { privateMessage }) };
  }

  async read(state, message) {
    const { privateMessage } = decoded(message);
    const read = await processPrivateMessage(state, privateMessage, makePskIndex(state, {}), this.suite);
    if (read.kind !== "applicationMessage") throw new Error(`a ${read.kind}`);
    return read.newState;
  }

  async timed(operation, call, times = 1) {
    globalThis.gc?.();
    const began = this.clock();
    const result = await call();
    (this.times[operation] ??= []).push((this.clock() - began) / times);
    return result;
  }
}

function encoded(wireformat, content) {
  return encodeMlsMessage({ version: "mls10", wireformat, ...content });
}

function decoded(message) {
  const found = decodeMlsMessage(message, 0);
  if (found === undefined) throw new Error("ts-mls cannot decode the message");
  return found[0];
}

function loaded(octets) {
  const found = decodeGroupState(octets, 0);
  if (found === undefined) throw new Error("ts-mls cannot decode the state");
  return { ...found[0], clientConfig: CONFIG };
}

function toHex(octets) {
  return Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
}

function fromHex(hex) {
  return Uint8Array.from({ length: hex.length / 2 }, (_, index) => parseInt(hex.slice(2 * index, 2 * index + 2), 16));
}
