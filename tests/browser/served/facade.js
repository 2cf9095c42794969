/**
 * Everything that a page can do with an `MLS` object, in steps: what came of each, written so that two runs of one implementation
 * give the same, and two implementations can be compared.
 *
 * Octets that differ from run to run go by a name: identifiers by whose they are, messages by their wire format.
 */

const WIRE_FORMATS = [null, "PublicMessage", "PrivateMessage", "Welcome", "GroupInfo", "KeyPackage"];
const TYPES = [
  "group-epoch",
  "group-identifier",
  "group-info",
  "client-identifier",
  "credential-basic",
  "key-package",
  "proposal",
  "commit-output",
  "commit-processed",
  "welcome",
  "exporter-output",
  "exporter-label",
  "exporter-context",
  "application-message-ciphertext",
  "application-message-plaintext",
];
const EMPTY = new Uint8Array();
const GARBAGE = Uint8Array.of(1, 2, 3);
const hex = (octets) => Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");

class Transcript {
  #names = new Map();
  #skip;
  steps = [];

  constructor(MLS, MLSGroupView, skip) {
    this.MLS = MLS;
    this.MLSGroupView = MLSGroupView;
    this.#skip = skip;
  }

  name(octets, name) {
    this.#names.set(hex(octets), name);
  }

  /** Do one step, and note what came of it; returns its value, or undefined if it failed. */
  async step(name, work) {
    if (this.#skip.includes(name)) {
      this.steps.push([name, "skipped"]);
      return undefined;
    }
    // A browser that ends itself tells by this what was the last that it was asked.
    console.debug(`step: ${name}`);
    try {
      const value = await work();
      this.steps.push([name, JSON.stringify(this.#shape(value)) ?? "undefined"]);
      return value;
    } catch (error) {
      this.steps.push([name, `refused: ${error.name}`]);
      return undefined;
    }
  }

  #shape(value) {
    if (value instanceof Uint8Array) return this.#octets(value);
    if (value instanceof this.MLSGroupView) return "a view";
    if (Array.isArray(value)) return value.map((one) => this.#shape(one));
    if (value === null || typeof value !== "object") return value;
    const shown = Object.entries(value).map(([name, one]) => [
      name,
      name === "secret" ? `a secret of ${one.length} octets` : this.#shape(one),
    ]);
    return Object.fromEntries(shown);
  }

  #octets(octets) {
    const [digits, [major, minor, high, low]] = [hex(octets), octets];
    if (this.#names.has(digits)) return this.#names.get(digits);
    if (octets.length > 100 && major === 0 && minor === 1 && high === 0) return `a ${WIRE_FORMATS[low]}`;
    return octets.length > 20 ? `${octets.length} octets` : digits;
  }
}

/** Somebody: identity, credential, and a way to make key packages. */
async function somebody(mls, transcript, name) {
  const id = await mls.generateIdentity();
  transcript.name(id.content, `<${name}>`);
  const credential = await mls.generateCredential(name);
  return { id, credential, keyPackage: () => mls.generateKeyPackage(id, credential) };
}

/** A group of two, and their views. */
async function pair(mls, transcript, one, other, name) {
  const group = await mls.groupCreate(one.id, one.credential);
  transcript.name(group.groupId, `<${name}>`);
  const { commit, welcome } = await group.add(await other.keyPackage());
  await group.receive(commit);
  return [group, await mls.groupJoin(other.id, welcome)];
}

/** The members that Firefox's Web IDL has. */
const MEMBERS = {
  MLS: [
    "deleteState",
    "generateCredential",
    "generateIdentity",
    "generateKeyPackage",
    "getGroupEpochFromMessage",
    "getGroupIdFromMessage",
    "groupCreate",
    "groupGet",
    "groupJoin",
  ],
  MLSGroupView: [
    "add",
    "applyPendingCommit",
    "clearPendingCommit",
    "clearPendingProposals",
    "clientId",
    "close",
    "deleteState",
    "details",
    "exportSecret",
    "groupId",
    "hasPendingCommit",
    "hasPendingProposals",
    "proposeAdd",
    "proposeRemove",
    "receive",
    "remove",
    "send",
  ],
};

/** What a page sees of the classes before it uses them. */
async function interfaces({ step, MLS, MLSGroupView }) {
  for (const [name, made] of Object.entries({ MLS, MLSGroupView })) {
    for (const member of ["constructor", ...MEMBERS[name]])
      await step(`${name}.${member}`, () => {
        const { get, set, value, ...flags } = Object.getOwnPropertyDescriptor(made.prototype, member);
        return get ? [get.name, typeof set, flags] : [typeof value, value.name, value.length, flags];
      });
    await step(`other members of ${name}`, () => {
      const known = ["constructor", ...MEMBERS[name]];
      return Object.getOwnPropertyNames(made.prototype).filter((member) => !known.includes(member));
    });
    await step(`${name} as a function`, () => [made.name, made.length, String(Object.create(made.prototype))]);
    await step(`statics of ${name}`, () =>
      Object.getOwnPropertyNames(made).filter((member) => !["length", "name", "prototype"].includes(member)),
    );
  }
  await step("MLS without new", () => MLS());
  await step("new MLSGroupView()", () => new MLSGroupView());
  await step("a method called on another object", () => MLS.prototype.generateIdentity.call({}));
  await step("a view's method called on another object", () => MLSGroupView.prototype.details.call({}));
  await step("an attribute of another object", () => Reflect.get(MLSGroupView.prototype, "groupId", {}));
  await step("what fails is a rejection", () => {
    const promise = new MLS().generateCredential();
    promise.catch(() => {});
    return promise instanceof Promise;
  });
}

/** What arguments become, where a string is taken too. */
async function conversions({ step }, mls) {
  const wholeBuffer = new Uint8Array(8);
  const given = {
    "a string": "alice",
    "a string with a lone surrogate": "a\ud800",
    "an empty string": "",
    "a Uint8Array": Uint8Array.of(1, 2, 3),
    "part of a buffer": wholeBuffer.subarray(2, 4),
    "an empty Uint8Array": EMPTY,
    "MLSBytes": { type: "credential-basic", content: Uint8Array.of(1, 2) },
    "MLSBytes and more": { type: "credential-basic", content: Uint8Array.of(1, 2), more: 1 },
    "MLSBytes of no type": { content: Uint8Array.of(1, 2) },
    "MLSBytes of an unknown type": { type: "x", content: Uint8Array.of(1, 2) },
    "MLSBytes without content": { type: "credential-basic" },
    "MLSBytes with text": { type: "credential-basic", content: "x" },
    "MLSBytes with an ArrayBuffer": { type: "credential-basic", content: new ArrayBuffer(2) },
    "null": null,
    "undefined": undefined,
    "a number": 5,
    "a boolean": true,
    "a bigint": 5n,
    "a symbol": Symbol("x"),
    "an object": {},
    "an array": [1, 2],
    "a function": () => 1,
    "a String object": new String("x"),
    "an ArrayBuffer": new ArrayBuffer(3),
    "a Uint16Array": new Uint16Array(3),
    "a Uint8ClampedArray": new Uint8ClampedArray(3),
    "a DataView": new DataView(new ArrayBuffer(3)),
  };
  await step("generateCredential()", () => mls.generateCredential());
  for (const [what, value] of Object.entries(given)) {
    await step(`generateCredential(${what})`, () => mls.generateCredential(value));
    await step(`getGroupIdFromMessage(${what})`, () => mls.getGroupIdFromMessage(value));
  }
}

/** Which types each argument takes, and whether it may be empty. */
async function types({ step }, mls, [group, other], [alice, bob]) {
  const committed = async (making) => {
    const made = await making;
    await group.clearPendingCommit();
    return made;
  };
  const proposed = async (making) => {
    const made = await making;
    await group.clearPendingProposals();
    return made;
  };
  const carol = await mls.generateIdentity();
  const package_ = (await mls.generateKeyPackage(carol, await mls.generateCredential("eve"))).content;
  const message = async () => (await other.send("text")).content;
  const calls = {
    generateCredential: [(x) => mls.generateCredential(x), () => GARBAGE],
    "generateKeyPackage 1": [(x) => mls.generateKeyPackage(x, alice.credential), () => alice.id.content],
    "generateKeyPackage 2": [(x) => mls.generateKeyPackage(alice.id, x), () => alice.credential.content],
    "groupCreate 1": [(x) => mls.groupCreate(x, alice.credential), () => alice.id.content],
    "groupCreate 2": [(x) => mls.groupCreate(alice.id, x), () => alice.credential.content],
    "groupGet 1": [(x) => mls.groupGet(x, alice.id), () => group.groupId],
    "groupGet 2": [(x) => mls.groupGet(group.groupId, x), () => alice.id.content],
    "groupJoin 1": [(x) => mls.groupJoin(x, GARBAGE), () => alice.id.content],
    "groupJoin 2": [(x) => mls.groupJoin(alice.id, x), () => GARBAGE],
    getGroupIdFromMessage: [(x) => mls.getGroupIdFromMessage(x), message],
    getGroupEpochFromMessage: [(x) => mls.getGroupEpochFromMessage(x), message],
    add: [(x) => committed(group.add(x)), () => package_],
    proposeAdd: [(x) => proposed(group.proposeAdd(x)), () => package_],
    remove: [(x) => committed(group.remove(x)), () => bob.id.content],
    proposeRemove: [(x) => proposed(group.proposeRemove(x)), () => bob.id.content],
    send: [(x) => group.send(x), () => GARBAGE],
    receive: [(x) => group.receive(x), message],
    "exportSecret 1": [(x) => group.exportSecret(x, EMPTY, 16), () => GARBAGE],
    "exportSecret 2": [(x) => group.exportSecret("label", x, 16), () => GARBAGE],
  };
  for (const [name, [call, octets]] of Object.entries(calls)) {
    for (const type of TYPES) await step(`${name}: ${type}`, async () => call({ type, content: await octets() }));
    await step(`${name}: a Uint8Array`, async () => call(await octets()));
    await step(`${name}: nothing in it`, () => call(EMPTY));
    await step(`${name}: nothing in an MLSBytes`, () => call({ type: "key-package", content: EMPTY }));
    await step(`${name}: text`, () => call("text"));
    await step(`${name}: undefined`, () => call(undefined));
    await step(`${name}: garbage`, () => call(GARBAGE));
  }
  await step("generateKeyPackage with 1 argument", () => mls.generateKeyPackage(alice.id));
  await step("groupCreate with 1 argument", () => mls.groupCreate(alice.id));
  await step("groupGet with 1 argument", () => mls.groupGet(group.groupId));
  await step("groupJoin with 1 argument", () => mls.groupJoin(alice.id));
  for (const method of ["add", "proposeAdd", "remove", "proposeRemove", "send", "receive"])
    await step(`${method} without an argument`, () => group[method]());
  await step("exportSecret with 2 arguments", () => group.exportSecret("label", EMPTY));
}

/** A group's life: joining, messages, changes by all, and what comes late, twice or too early. */
async function life({ step, name }, mls, people) {
  const [alice, bob, carol, dave] = people;
  const packageOfBob = await step("key package", bob.keyPackage);
  await step("key package from octets", () => mls.generateKeyPackage(bob.id.content, bob.credential.content));
  await step("key package of nobody", () => mls.generateKeyPackage(new Uint8Array(32), bob.credential));
  await step("group of nobody", () => mls.groupCreate(new Uint8Array(32), bob.credential));
  const a = await step("group", () => mls.groupCreate(alice.id, alice.credential));
  name(a.groupId, "<life>");
  await step("identifiers", () => [a.groupId, a.clientId, a.groupId === a.groupId]);
  await step("details alone", () => a.details());

  // A commit that is pending.
  await step("adding", () => a.add(packageOfBob));
  await step("details, with a commit pending", () => a.details());
  await step("pending commit", () => a.hasPendingCommit());
  await step("pending proposals", () => a.hasPendingProposals());
  await step("sending, with a commit pending", () => a.send("text"));
  await step("another commit, with one pending", () => a.add(packageOfBob));
  await step("closing, with a commit pending", () => a.close());
  await step("a proposal, with a commit pending", () => a.proposeRemove(alice.id));
  await step("exporting, with a commit pending", () => a.exportSecret("label", EMPTY, 16));
  await step("clearing a commit", () => a.clearPendingCommit());
  await step("clearing no commit", () => a.clearPendingCommit());
  await step("no commit pending", () => a.hasPendingCommit());
  await step("applying no commit", () => a.applyPendingCommit());
  await step("proposals remain", () => a.hasPendingProposals());

  const first = await step("adding again", () => a.add(packageOfBob.content));
  await step("own commit", () => a.receive(first.commit));
  await step("own commit again", () => a.receive(first.commit));
  await step("details of two", () => a.details());
  await step("whose a commit is", () => mls.getGroupIdFromMessage(first.commit));
  await step("when a commit is", () => mls.getGroupEpochFromMessage(first.commit));
  await step("whose a welcome is", () => mls.getGroupIdFromMessage(first.welcome));
  await step("when a welcome is", () => mls.getGroupEpochFromMessage(first.welcome));
  await step("whose a key package is", () => mls.getGroupIdFromMessage(packageOfBob));
  await step("when a key package is", () => mls.getGroupEpochFromMessage(packageOfBob));

  // Joining.
  await step("joining as nobody", () => mls.groupJoin(new Uint8Array(32), first.welcome));
  await step("joining by a commit", () => mls.groupJoin(bob.id, first.commit));
  const b = await step("joining", () => mls.groupJoin(bob.id, first.welcome));
  await step("joining again", () => mls.groupJoin(bob.id, first.welcome));
  await step("details of who joined", () => b.details());

  // Messages.
  const hello = await step("sending text", () => a.send("hello"));
  await step("receiving text", () => b.receive(hello));
  await step("receiving text again", () => b.receive(hello));
  await step("receiving one's own", () => a.receive(hello));
  await step("octets", async () => b.receive((await a.send(Uint8Array.of(0, 255))).content));
  await step("nothing", async () => b.receive(await a.send("")));
  await step("the other way", async () => a.receive(await b.send("back")));
  await step("several at once", async () => {
    const sent = await Promise.all(["one", "two", "three"].map((text) => a.send(text)));
    const received = await Promise.all(sent.reverse().map((message) => b.receive(message)));
    return received;
  });
  await step("altered", async () => {
    const altered = (await a.send("text")).content.slice();
    altered[altered.length - 1] ^= 1;
    return b.receive(altered);
  });
  await step("a key package received", () => a.receive(packageOfBob));
  await step("a welcome received", () => a.receive(first.welcome));
  await step("whose a message is", () => mls.getGroupIdFromMessage(hello));
  await step("when a message is", () => mls.getGroupEpochFromMessage(hello));

  // Secrets.
  for (const [what, ...given] of [
    ["text", "label", GARBAGE, 32],
    ["octets", Uint8Array.of(255, 254), GARBAGE, 32],
    ["text that is not ASCII", "é", GARBAGE, 32],
    ["no context", "label", EMPTY, 32],
    ["length 0", "label", GARBAGE, 0],
    ["length 1", "label", GARBAGE, 1],
    ["length 8160", "label", GARBAGE, 8160],
    ["length 8161", "label", GARBAGE, 8161],
    ["length -1", "label", GARBAGE, -1],
    ["length 2^53", "label", GARBAGE, 2 ** 53],
    ["length 16.9", "label", GARBAGE, 16.9],
    ["length '16'", "label", GARBAGE, "16"],
    ["length NaN", "label", GARBAGE, NaN],
    ["length undefined", "label", GARBAGE, undefined],
    ["length 16n", "label", GARBAGE, 16n],
    ["a context of text", "label", "context", 16],
  ])
    await step(`exporting: ${what}`, () => a.exportSecret(...given));
  await step("exported secrets agree", async () => {
    const secrets = [];
    for (const view of [a, b])
      for (const [label, context] of [
        ["label", GARBAGE],
        ["label", EMPTY],
        ["other", GARBAGE],
        ["é", GARBAGE],
        [Uint8Array.of(255, 254), GARBAGE],
      ])
        secrets.push(hex((await view.exportSecret(label, context, 32)).secret));
    return [new Set(secrets).size, secrets.slice(0, 5).every((secret, index) => secret === secrets[index + 5])];
  });

  // Proposals, which whoever receives them commits to.
  const packageOfCarol = await carol.keyPackage();
  await step("proposing to add a member", () => b.proposeAdd(packageOfBob));
  await step("proposing to remove nobody", () => b.proposeRemove(new Uint8Array(32)));
  await step("clearing it", () => b.clearPendingProposals());
  await step("clearing none", () => b.clearPendingProposals());
  const adding = await step("proposing to add", () => b.proposeAdd(packageOfCarol));
  await step("proposals pending", () => b.hasPendingProposals());
  await step("when a proposal is", () => mls.getGroupEpochFromMessage(adding));
  await step("sending, with a proposal pending", () => b.send("text"));
  await step("own proposal", () => b.receive(adding));
  await step("own proposal again", () => b.receive(adding));
  const added = await step("a proposal", () => a.receive(adding));
  await step("pending after a proposal", async () => [await a.hasPendingProposals(), await a.hasPendingCommit()]);
  await step("a proposal again", () => a.receive(adding));
  await step("sending, with both pending", () => a.send("text"));
  await step("applying", () => a.applyPendingCommit());
  await step("applying again", () => a.applyPendingCommit());
  await step("none pending", async () => [await a.hasPendingProposals(), await a.hasPendingCommit()]);
  const c = await step("joining by a proposal", () => mls.groupJoin(carol.id, added.commitOutput.welcome));
  await step("another's commit in place of one's own", () => b.receive(added.commitOutput.commit));
  await step("another's commit again", () => b.receive(added.commitOutput.commit));
  await step("none pending there", async () => [await b.hasPendingProposals(), await b.hasPendingCommit()]);
  await step("details of three", () => c.details());

  // Removing; and messages of an epoch that has ended.
  await step("adding a member", () => b.add(packageOfBob));
  await step("adding a client by another key package", async () => b.add(await carol.keyPackage()));
  await step("removing nobody", () => b.remove(new Uint8Array(32)));
  await step("removing oneself", () => b.remove(bob.id));
  const late = await b.send("late");
  const removing = await step("removing", () => a.remove(carol.id));
  await step("own commit as an object", () => a.receive({ type: "commit-output", content: removing.commit }));
  await step("a commit that removes", () => b.receive(removing.commit));
  await step("a commit that removes me", () => c.receive(removing.commit));
  await step("details of who is gone", () => c.details());
  await step("sending of who is gone", () => c.send("text"));
  await step("reading of who is gone", () => c.receive(late));
  await step("view of who is gone", () => mls.groupGet(a.groupId, carol.id));
  await step("a late message", () => a.receive(late));
  await step("a late message again", () => a.receive(late));

  // Two commits at a time.
  const ours = await step("one commit", async () => a.add(await carol.keyPackage()));
  const theirs = await step("another commit", async () => b.add(await dave.keyPackage()));
  await step("the first one, with one's own pending", () => b.receive(ours.commit));
  await step("one's own is gone", () => b.hasPendingCommit());
  await step("applying it", () => b.applyPendingCommit());
  await step("the first one applied", () => a.applyPendingCommit());
  await step("the second one", () => a.receive(theirs.commit));
  const c2 = await step("coming back", () => mls.groupJoin(carol.id, ours.welcome));
  await step("details of who came back", () => c2.details());

  // Too early.
  const next = await a.add(await dave.keyPackage());
  await a.receive(next.commit);
  const early = await a.send("early");
  await step("a message of an epoch to come", () => b.receive(early));
  await step("its commit", () => b.receive(next.commit));
  await step("the message now", () => b.receive(early));
  await c2.receive(next.commit);

  // Views.
  const again = await step("a view again", () => mls.groupGet(a.groupId, alice.id));
  await step("it is another object", () => again === a);
  await step("no such group", () => mls.groupGet(new Uint8Array(16), alice.id));
  await step("no such client", () => mls.groupGet(a.groupId, new Uint8Array(32)));
  await step("a client that is not in it here", () => mls.groupGet(a.groupId, dave.id));
  await step("the second view", async () => b.receive(await again.send("second")));
  await step("the first view", async () => b.receive(await a.send("first")));

  // Leaving: one proposes it, another commits.
  const leaving = await step("proposing one's own removal", () => c2.proposeRemove(carol.id));
  const left = await step("another receives it", () => b.receive(leaving));
  await step("and applies it", () => b.receive(left.commitOutput.commit));
  await step("without the proposal", () => a.receive(left.commitOutput.commit));
  await step("with the proposal", () => a.receive(leaving));
  await step("and the commit", () => a.receive(left.commitOutput.commit));
  await step("who leaves", () => c2.receive(left.commitOutput.commit));

  // A proposal to remove whom it is sent to, who cannot commit to that.
  const against = await step("proposing another's removal", () => b.proposeRemove(alice.id));
  await step("who is to go receives it", () => a.receive(against));
  await a.clearPendingCommit();
  await step("clearing the proposal", () => a.clearPendingProposals());
  await b.clearPendingProposals();

  // A proposal while a commit is pending is not taken.
  const pending = await a.remove(dave.id);
  const other = await b.proposeRemove(bob.id);
  await step("a proposal, with one's commit pending", () => a.receive(other));
  await step("it was not taken", async () => [await a.hasPendingProposals(), await a.hasPendingCommit()]);
  await step("clearing proposals leaves the commit", async () => [
    await a.clearPendingProposals(),
    await a.hasPendingCommit(),
  ]);
  await a.receive(pending.commit);
  await b.receive(pending.commit);

  // The end.
  const closing = await step("closing", () => a.close());
  await step("own closing", () => a.receive(closing.commit));
  await step("another's closing", () => b.receive(closing.commit));
  await step("details, closed", () => a.details());
  await step("sending, closed", () => a.send("text"));
  await step("closing alone", () => a.close());
  await step("applying that", () => a.applyPendingCommit());
  await step("deleting a view", () => a.deleteState());
  await step("details, deleted", () => a.details());
  await step("sending, deleted", () => a.send("text"));
  await step("the other view, deleted", () => again.details());
  await step("getting it, deleted", () => mls.groupGet(a.groupId, alice.id));
  await step("deleting it again", () => a.deleteState());
  await step("identifiers, deleted", () => [a.groupId, a.clientId]);
  await step("another client's view remains", async () => (await b.details()).members.length);
}

/** What is done otherwise on purpose; the test says how. */
async function otherwise({ step, name }, mls, [alice, bob, carol]) {
  const group = await mls.groupCreate(alice.id, alice.credential);
  name(group.groupId, "<otherwise>");
  const cleared = await group.add(await bob.keyPackage());
  await group.clearPendingCommit();
  await step("a commit that was cleared, received", () => group.receive(cleared.commit));

  const members = await mls.groupCreate(alice.id, alice.credential);
  name(members.groupId, "<members>");
  const forBob = await members.add(await bob.keyPackage());
  await members.receive(forBob.commit);
  await step("joining as another client than the key package's", () => mls.groupJoin(carol.id, forBob.welcome));

  const closed = await mls.groupCreate(alice.id, alice.credential);
  name(closed.groupId, "<closed>");
  await closed.proposeAdd(await bob.keyPackage());
  await step("closing, with a proposal to add", () => closed.close());

  const removed = await mls.groupCreate(alice.id, alice.credential);
  name(removed.groupId, "<removed>");
  const { commit } = await removed.add(await bob.keyPackage());
  await removed.receive(commit);
  await removed.proposeAdd(await carol.keyPackage());
  await step("removing, with a proposal to add", () => removed.remove(bob.id));

  const twins = await mls.groupCreate(alice.id, alice.credential);
  name(twins.groupId, "<twins>");
  const twin = async () => mls.generateKeyPackage(await mls.generateIdentity(), alice.credential);
  await step("adding another client of the same credential", async () => twins.add(await twin()));
  const proposed = await step("proposing it", async () => twins.proposeAdd(await twin()));
  await step("committing to that", () => twins.receive(proposed));

  await step("an X.509 credential", () => mls.generateKeyPackage(alice.id, Uint8Array.of(0, 2, 0)));
  await step("a credential and more", () => mls.generateKeyPackage(alice.id, Uint8Array.of(0, 1, 1, 65, 9)));
  await step("a message and more", async () => {
    const message = (await closed.clearPendingCommit(), await closed.clearPendingProposals(), await closed.send("text"));
    return mls.getGroupIdFromMessage(Uint8Array.of(...message.content, 0));
  });
}

async function deleting({ step }, mls, group, [alice]) {
  await step("deleting all", () => mls.deleteState());
  await step("deleting nothing", () => mls.deleteState());
  await step("a group, all deleted", () => group.details());
  await step("getting it, all deleted", () => mls.groupGet(group.groupId, alice.id));
  await step("an identity, all deleted", () => mls.generateKeyPackage(alice.id, alice.credential));
  await step("a new identity", async () => (await mls.generateIdentity()).type);
  await step("deleting that", () => mls.deleteState());
}

/**
 * @param {typeof globalThis.MLS} MLS
 * @param {typeof globalThis.MLSGroupView} MLSGroupView
 * @param {string[]} [skip] steps that are not to be tried
 * @returns {Promise<[string, string][]>} each step and what came of it
 */
export async function transcript(MLS, MLSGroupView, skip = []) {
  const made = new Transcript(MLS, MLSGroupView, skip);
  const noted = { MLS, MLSGroupView, step: made.step.bind(made), name: made.name.bind(made) };
  const mls = new MLS();
  await interfaces(noted);
  await conversions(noted, mls);
  const people = [];
  for (const name of ["alice", "bob", "carol", "dave"]) people.push(await somebody(mls, made, name));
  const views = await pair(mls, made, people[0], people[1], "types");
  await types(noted, mls, views, people);
  await life(noted, mls, people);
  await otherwise(noted, mls, people);
  await deleting(noted, mls, views[0], people);
  return made.steps;
}
