/**
 * The one group that the implementations of this page hold: what one makes is given to the others as octets, and after each step
 * all are asked what they believe.
 *
 * @import { Implementation, Member, Received, View } from "./member.js"
 */
import { hex } from "../dom.js";

/**
 * A message on its way.
 *
 * @typedef {object} Sent
 * @property {string} from
 * @property {string[]} to
 * @property {Uint8Array} octets
 * @property {Record<string, string>} outcomes what became of it, by recipient
 */

/** @typedef {View | { fault: unknown }} Belief */

/**
 * What a step has led to.
 *
 * @typedef {object} Standing
 * @property {string} step in words
 * @property {Map<string, Belief>} beliefs of each member, by name
 * @property {Agreement} agreement
 * @property {Map<string, Uint8Array>} groupInfos of those who show it
 */

/**
 * @typedef {object} Agreement
 * @property {boolean} agreed
 * @property {string} words
 */

export class SharedGroup {
  #implementations;
  #onsent;
  #onstep;
  /** @type {Map<string, Member>} those who are in the group */
  #members = new Map();
  /** @type {Map<string, string[]>} what each has read, in words */
  #heard = new Map();

  /**
   * @param {Implementation[]} implementations those that are there
   * @param {{ onsent: (sent: Sent) => Promise<void>, onstep: (standing: Standing) => Promise<void> }} listeners
   */
  constructor(implementations, { onsent, onstep }) {
    this.#implementations = implementations;
    this.#onsent = onsent;
    this.#onstep = onstep;
  }

  /** Who is in the group, in the order in which they came. */
  get members() {
    return [...this.#members.keys()];
  }

  /** Who is not. */
  get others() {
    return this.#implementations.map(({ id }) => id).filter((id) => !this.#members.has(id));
  }

  /**
   * What a member has read in this group, in words.
   *
   * @param {string} id
   */
  heard(id) {
    return this.#heard.get(id) ?? [];
  }

  /** @param {string} id */
  canUpdate(id) {
    return this.#members.get(id)?.update !== undefined;
  }

  /**
   * Leave the present group behind, and begin another.
   *
   * @param {string} by
   */
  async create(by) {
    for (const former of this.#members.values()) await former.forget();
    this.#members.clear();
    this.#heard.clear();
    const member = await this.#newMember(by);
    await member.create();
    this.#members.set(by, member);
    return this.#stand(`${by} creates a group`);
  }

  /**
   * @param {string} by
   * @param {string} whom
   */
  async add(by, whom) {
    const newcomer = await this.#newMember(whom);
    const keyPackage = await newcomer.keyPackage();
    await this.#onsent({ from: whom, to: [by], octets: keyPackage, outcomes: { [by]: "fetched" } });
    const { commit, welcome } = await this.#member(by).add(keyPackage);
    await this.#deliver(by, commit);
    if (welcome === undefined) throw new Error(`${by} made no Welcome for ${whom}.`);
    const outcome = await told(() => newcomer.join(welcome), () => "joined");
    await this.#onsent({ from: by, to: [whom], octets: welcome, outcomes: { [whom]: outcome.words } });
    // One that did not come in must be seen to be missing.
    this.#members.set(whom, newcomer);
    return this.#stand(`${by} adds ${whom}`);
  }

  /**
   * @param {string} by
   * @param {string} whom
   */
  async remove(by, whom) {
    await this.#deliver(by, (await this.#member(by).remove(whom)).commit);
    return this.#stand(`${by} removes ${whom}`);
  }

  /** @param {string} by */
  async update(by) {
    const update = this.#member(by).update;
    if (update === undefined) throw new Error(`What ${by} runs has no call for new keys.`);
    await this.#deliver(by, (await update()).commit);
    return this.#stand(`${by} renews its keys`);
  }

  /**
   * @param {string} by
   * @param {string} text
   */
  async send(by, text) {
    await this.#deliver(by, await this.#member(by).send(text));
    return this.#stand(`${by} says “${text}”`);
  }

  /** @param {string} id */
  #member(id) {
    const member = this.#members.get(id);
    if (member === undefined) throw new Error(`${id} is not in the group.`);
    return member;
  }

  /** @param {string} id */
  async #newMember(id) {
    const implementation = this.#implementations.find((one) => one.id === id);
    if (implementation === undefined) throw new Error(`${id} is not there.`);
    return implementation.newMember();
  }

  /**
   * @param {string} from
   * @param {Uint8Array} octets
   */
  async #deliver(from, octets) {
    const to = this.members.filter((id) => id !== from);
    /** @type {Record<string, string>} */
    const outcomes = {};
    for (const id of to) {
      const outcome = await told(() => this.#member(id).receive(octets), words);
      outcomes[id] = outcome.words;
      if (outcome.result?.kind === "removed") this.#members.delete(id);
      if (outcome.result?.text !== undefined) this.#heard.set(id, [...this.heard(id), `${from}: ${outcome.result.text}`]);
    }
    await this.#onsent({ from, to, octets, outcomes });
  }

  /** @param {string} step */
  async #stand(step) {
    /** @type {Map<string, Belief>} */
    const beliefs = new Map();
    const groupInfos = new Map();
    for (const [id, member] of this.#members) {
      const { result, fault } = await told(() => member.view(), () => "");
      beliefs.set(id, result ?? { fault });
      const groupInfo = await member.groupInfo?.();
      if (groupInfo !== undefined) groupInfos.set(id, groupInfo);
    }
    const standing = { step, beliefs, groupInfos, agreement: agreement(beliefs) };
    await this.#onstep(standing);
    return standing;
  }
}

/**
 * Do something that an implementation may refuse: what came of it, also in words.
 *
 * @template T
 * @param {() => Promise<T>} action
 * @param {(result: T) => string} describe
 * @returns {Promise<{ words: string, result?: T, fault?: unknown }>}
 */
async function told(action, describe) {
  try {
    const result = await action();
    return { result, words: describe(result) };
  } catch (fault) {
    return { fault, words: `refused: ${fault instanceof Error ? fault.message : fault}` };
  }
}

/** @param {Received} received */
function words({ kind, text }) {
  switch (kind) {
    case "application":
      return `read “${text}”`;
    case "commit":
      return "applied";
    case "proposal":
      return "kept for a commit";
    case "removed":
      return "is no longer a member";
  }
}

/**
 * Whether all members believe the same.
 *
 * @param {Map<string, Belief>} beliefs
 * @returns {Agreement}
 */
export function agreement(beliefs) {
  const lost = [...beliefs].filter(([, belief]) => "fault" in belief).map(([name]) => name);
  if (lost.length > 0) return { agreed: false, words: `${lost.join(" and ")} cannot say what it believes.` };
  const views = /** @type {View[]} */ ([...beliefs.values()]);
  const differing = [
    differ(views.map(({ epoch }) => String(epoch))) ? "the epoch" : "",
    differ(views.map(({ members }) => members.toSorted().join())) ? "the members" : "",
    differ(views.map(({ exported }) => hex(exported))) ? "the exported secret" : "",
    differ(views.flatMap(({ epochAuthenticator }) => (epochAuthenticator ? [hex(epochAuthenticator)] : [])))
      ? "the epoch authenticator"
      : "",
  ].filter(Boolean);
  if (differing.length > 0) return { agreed: false, words: `They do not agree on ${differing.join(", ")}.` };
  const missing = [...beliefs.keys()].filter((name) => !views[0]?.members.includes(name));
  if (missing.length > 0) return { agreed: false, words: `${missing.join(" and ")} is not among the members.` };
  const epoch = views[0]?.epoch;
  if (views.length === 1) return { agreed: true, words: `One member, in epoch ${epoch}.` };
  return { agreed: true, words: `All ${views.length} agree: epoch ${epoch}, the same members, the same secret.` };
}

/** @param {string[]} values */
const differ = (values) => new Set(values).size > 1;
