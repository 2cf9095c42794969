/** `MLS` where a page's own worker has it: says what came of a group there. */
import "/mls-federation/mls-polyfill.js";

const mls = new MLS();
const people = [];
for (const name of ["alice", "bob"]) people.push([await mls.generateIdentity(), await mls.generateCredential(name)]);
const group = await mls.groupCreate(...people[0]);
const { commit, welcome } = await group.add(await mls.generateKeyPackage(...people[1]));
await group.receive(commit);
const view = await mls.groupJoin(people[1][0], welcome);
const { content } = await view.receive(await group.send("from a worker"));
postMessage(new TextDecoder().decode(content));
