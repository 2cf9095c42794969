/**
 * A member that runs ts-mls.
 *
 * @import { Committed, Member } from "./member.js"
 */
import { answer } from "ts-mls-members";
import { hex } from "../dom.js";
import { EXPORT_LABEL, octets } from "./octets.js";

const SUITE = 1;

/**
 * @param {string} name
 * @returns {Promise<Member>}
 */
export async function newTsMlsMember(name) {
  /**
   * @param {string} call
   * @param {Record<string, unknown>} [given]
   * @returns {Promise<any>}
   */
  const ask = async (call, given = {}) => {
    const { result, error } = JSON.parse(await answer(JSON.stringify({ call, member: name, ...given })));
    if (error !== undefined) throw new Error(`ts-mls refuses (${error.name}): ${error.message}`);
    return result;
  };
  /**
   * @param {object[]} proposals
   * @returns {Promise<Committed>}
   */
  const commit = async (proposals) => {
    const { message, welcome } = await ask("commit", { proposals, isPublic: true });
    return { commit: octets(message), welcome: welcome === null ? undefined : octets(welcome) };
  };
  await ask("client", { suite: SUITE });

  return {
    name,
    keyPackage: async () => octets((await ask("keyPackage")).message),
    create: async () => ask("create", { groupId: hex(crypto.getRandomValues(new Uint8Array(32))) }),
    join: async (welcome) => ask("join", { welcome: hex(welcome) }),
    add: (keyPackage) => commit([{ type: "add", keyPackage: hex(keyPackage) }]),
    async remove(other) {
      /** @type {{ members: [number, string][] }} */
      const { members } = await ask("view");
      const found = members.find(([, identity]) => text(identity) === other);
      if (found === undefined) throw new Error(`ts-mls knows no member ${other}.`);
      return commit([{ type: "remove", leaf: found[0] }]);
    },
    update: () => commit([]),
    send: async (message) => octets((await ask("send", { data: hex(new TextEncoder().encode(message)) })).message),
    async receive(message) {
      const { kind, data } = await ask("receive", { message: hex(message) });
      return data === undefined ? { kind } : { kind, text: text(data) };
    },
    async view() {
      const [seen, exported] = [
        await ask("view"),
        await ask("exported", { label: EXPORT_LABEL, context: "", length: 32 }),
      ];
      return {
        epoch: BigInt(seen.epoch),
        members: seen.members.map((/** @type {[number, string]} */ [, identity]) => text(identity)),
        exported: octets(exported.secret),
        epochAuthenticator: octets(seen.epochAuthenticator),
      };
    },
    forget: () => ask("leave"),
    groupInfo: async () => octets((await ask("groupInfo")).message),
  };
}

/** @param {string} digits hexadecimal UTF-8 */
const text = (digits) => new TextDecoder().decode(octets(digits));
