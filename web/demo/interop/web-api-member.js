/**
 * A member that runs behind the interface `MLS`, as Firefox has it: the browser's own, or ours.
 *
 * @import { MLS, MLSGroupView } from "../../src/mls.js"
 * @import { MLSCommitOutput } from "../../src/protocol.js"
 * @import { Committed, Member } from "./member.js"
 */
import { EXPORT_LABEL } from "./octets.js";

/**
 * What this page uses of the interface.
 *
 * @typedef {Pick<MLSGroupView, "add" | "remove" | "send" | "receive" | "details" | "exportSecret" | "deleteState"> &
 *   Partial<Pick<MLSGroupView, "inspect">>} GroupView `inspect`: ours has it, Firefox's has not
 * @typedef {Pick<MLS, "generateIdentity" | "generateCredential" | "generateKeyPackage"> & {
 *   groupCreate: (...given: Parameters<MLS["groupCreate"]>) => Promise<GroupView>,
 *   groupJoin: (...given: Parameters<MLS["groupJoin"]>) => Promise<GroupView>,
 * }} MLSInterface
 */

/**
 * @param {MLSInterface} mls
 * @param {string} name
 * @returns {Promise<Member>}
 */
export async function newWebApiMember(mls, name) {
  const identity = await mls.generateIdentity();
  const credential = await mls.generateCredential(name);
  /** @type {GroupView | undefined} */
  let current;

  const group = () => {
    if (current === undefined) throw new Error(`${name} is not in a group.`);
    return current;
  };
  const forget = async () => {
    await current?.deleteState();
    current = undefined;
  };
  /**
   * The interface hands out a commit that counts only when it is received, as if from another member.
   *
   * @param {MLSCommitOutput} output
   * @returns {Promise<Committed>}
   */
  const applied = async ({ commit, welcome }) => {
    await group().receive(commit);
    return { commit, welcome: welcome?.length ? welcome : undefined };
  };

  return {
    name,
    keyPackage: async () => (await mls.generateKeyPackage(identity, credential)).content,
    async create() {
      current = await mls.groupCreate(identity, credential);
    },
    async join(welcome) {
      current = await mls.groupJoin(identity, welcome);
    },
    add: async (keyPackage) => applied(await group().add(keyPackage)),
    async remove(other) {
      const { members } = await group().details();
      const found = members.find((member) => identityOf(member.credential) === other);
      if (found === undefined) throw new Error(`${name} knows no member ${other}.`);
      return applied(await group().remove(found.clientId));
    },
    send: async (message) => (await group().send(message)).content,
    async receive(message) {
      const { type, content, groupEpoch } = await group().receive(message);
      if (type === "application-message-plaintext") return { kind: "application", text: new TextDecoder().decode(content) };
      if (type === "commit-output") return { kind: "proposal" };
      // Whoever is removed stays in the last epoch that it knew; that it is removed shows in an epoch that there cannot be.
      if (groupEpoch?.some((octet) => octet !== 0xff)) return { kind: "commit" };
      await forget();
      return { kind: "removed" };
    },
    async view() {
      const { groupEpoch, members } = await group().details();
      const { secret } = await group().exportSecret(EXPORT_LABEL, new Uint8Array(), 32);
      return {
        // Against the order on the wire, the least significant octet comes first.
        epoch: new DataView(groupEpoch.buffer, groupEpoch.byteOffset).getBigUint64(0, true),
        members: members.map((member) => identityOf(member.credential)),
        exported: secret,
        epochAuthenticator: (await group().inspect?.())?.epochAuthenticator,
      };
    },
    forget,
    groupInfo: async () => (await group().inspect?.())?.groupInfo,
  };
}

/**
 * The identity in a basic credential that is shorter than 64 octets, as all names of this page are: its type, a length, then the name.
 *
 * @param {Uint8Array} credential
 */
const identityOf = (credential) => new TextDecoder().decode(credential.subarray(3));
