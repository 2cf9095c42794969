/** One group of two implementations of Firefox's `MLS`, each of which is given as its constructor. */

const hex = (octets) => Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");

async function client(MLS, name) {
  const mls = new MLS();
  const id = await mls.generateIdentity();
  const credential = await mls.generateCredential(name);
  return {
    id,
    keyPackage: () => mls.generateKeyPackage(id, credential),
    create: () => mls.groupCreate(id, credential),
    join: (welcome) => mls.groupJoin(id, welcome),
  };
}

/**
 * Alice, who creates the group, and Carol have the one implementation; Bob, who joins, and Dave the other.
 *
 * @returns {Promise<object[]>} after each step: what it was, the epoch of each member, how many different exported secrets and
 *   details they have, and the members' names; for messages, who read what
 */
export async function mixedGroup(Creator, Joiner) {
  const [alice, carol] = [await client(Creator, "alice"), await client(Creator, "carol")];
  const [bob, dave] = [await client(Joiner, "bob"), await client(Joiner, "dave")];
  const views = new Map();
  const seen = [];

  const agreed = async (step) => {
    const all = [...views.values()];
    const details = await Promise.all(all.map((view) => view.details()));
    const secrets = await Promise.all(all.map((view) => view.exportSecret("label", Uint8Array.of(1, 2), 32)));
    const octetLabels = await Promise.all(all.map((view) => view.exportSecret(Uint8Array.of(200, 1), new Uint8Array(), 16)));
    const shown = ({ groupId, groupEpoch, members }) =>
      JSON.stringify([hex(groupId), hex(groupEpoch), members.map((one) => [hex(one.clientId), hex(one.credential)])]);
    seen.push({
      step,
      epochs: [...new Set(details.map(({ groupEpoch }) => hex(groupEpoch)))],
      details: new Set(details.map(shown)).size,
      secrets: new Set(secrets.map(({ secret }) => hex(secret))).size,
      secretsOfOctetLabels: new Set(octetLabels.map(({ secret }) => hex(secret))).size,
      members: details[0].members.map(({ credential }) => new TextDecoder().decode(credential.slice(3))),
    });
  };
  const said = async (sender, text) => {
    const message = await views.get(sender).send(text);
    const read = {};
    for (const [name, view] of views)
      if (name !== sender) read[name] = new TextDecoder().decode((await view.receive(message)).content);
    seen.push({ step: `${sender} says ${text}`, read });
  };
  /** What everybody makes of a commit, its sender too. */
  const toAll = async (commit) => {
    const results = await Promise.all([...views.values()].map((view) => view.receive(commit)));
    if (results.some(({ type }) => type !== "commit-processed")) throw new Error("a commit was not processed");
    return results.map(({ groupEpoch }) => hex(groupEpoch));
  };

  views.set("alice", await alice.create());
  const first = await views.get("alice").add(await bob.keyPackage());
  await toAll(first.commit);
  views.set("bob", await bob.join(first.welcome));
  await agreed("alice adds bob");
  await said("alice", "hello");
  await said("bob", "hello yourself");

  const second = await views.get("bob").add(await carol.keyPackage());
  await toAll(second.commit);
  views.set("carol", await carol.join(second.welcome));
  await agreed("bob adds carol");
  await said("carol", "I am here");

  // Bob proposes, and the other implementation commits to it.
  const proposal = await views.get("bob").proposeAdd(await dave.keyPackage());
  const third = (await views.get("alice").receive(proposal)).commitOutput;
  await views.get("carol").receive(proposal);
  await views.get("carol").clearPendingCommit();
  await toAll(third.commit);
  views.set("dave", await dave.join(third.welcome));
  await agreed("alice commits to bob's proposal to add dave");

  // And the other way round.
  const removal = await views.get("carol").proposeRemove(alice.id);
  const fourth = (await views.get("bob").receive(removal)).commitOutput;
  for (const name of ["dave", "alice"]) {
    await views.get(name).receive(removal);
    await views.get(name).clearPendingCommit();
  }
  const [ofAlice] = await toAll(fourth.commit);
  seen.push({ step: "alice is told", epoch: ofAlice });
  views.delete("alice");
  await agreed("bob commits to carol's proposal to remove alice");
  await said("dave", "she is gone");
  await said("carol", "she is");

  const fifth = await views.get("carol").remove(bob.id);
  await toAll(fifth.commit);
  views.delete("bob");
  await agreed("carol removes bob");
  await said("dave", "and so is he");
  const last = await views.get("dave").close();
  await toAll(last.commit);
  views.delete("carol");
  await agreed("dave closes the group");
  return seen;
}
