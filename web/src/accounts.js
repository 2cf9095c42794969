/**
 * The clients of this tab, each an account of the store unless it is to last as long as the page only: they are made, opened, moved and
 * deleted here (docs/adr/0016).
 *
 * @import { Run, Said } from "./kept.js"
 * @import { ClientState, EventMessage, Reply } from "./protocol.js"
 */
import { aboutOf, Kept, nameOf, refused, storeFault } from "./kept.js";
import { accounts, removeAccount, writeParts } from "./store.js";

/** How long other tabs have to let go of an account that is to be deleted. */
const LETTING_GO_MILLISECONDS = 5_000;

/** The store's accounts that are clients; `mls.js` has one of its own. */
async function listed() {
  const clients = (await accounts()).filter(({ about }) => about.identity !== undefined);
  return clients.map(({ account, about }) => ({ exported: false, ...about, account }));
}

/** All kept clients of this tab; every request of the page goes through here. */
export class Accounts {
  #run;
  #emit;
  /** @type {Map<number, Kept>} by the page's number */
  #open = new Map();

  /**
   * @param {Run} run
   * @param {(event: EventMessage) => void} emit tells the page
   */
  constructor(run, emit) {
    this.#run = run;
    this.#emit = emit;
  }

  /**
   * @param {string} method
   * @param {Record<string, any>} params
   * @param {AbortSignal} signal
   * @returns {Promise<Reply>}
   */
  async call(method, params, signal) {
    return this.#answer(method, params, signal).catch(storeFault);
  }

  /**
   * An event of a client in Python.
   *
   * @param {EventMessage} event
   */
  tell(event) {
    this.#emit(event);
    this.#open.get(event.detail.client)?.share(event);
  }

  /**
   * @param {string} method
   * @param {Record<string, any>} params
   * @param {AbortSignal} signal
   * @returns {Promise<Reply>}
   */
  async #answer(method, params, signal) {
    switch (method) {
      case "accounts":
        return { ok: true, value: await listed() };
      case "createClient":
      case "createDevice":
        return params.account === undefined ? this.#run(method, params, signal) : this.#create(method, params, signal);
      case "openAccount":
        return this.#openAccount(params, signal);
      case "importAccount":
        return this.#import(params, signal);
      case "deleteAccount":
        return this.#delete(params.account);
      case "setDeliveryService":
        return this.#setDeliveryService(params, signal);
    }
    const kept = this.#open.get(params.client);
    if (kept === undefined) return this.#run(method, params, signal);
    return kept.call(method, params, signal);
  }

  /**
   * @param {string} method
   * @param {Record<string, any>} params
   * @param {AbortSignal} signal
   * @returns {Promise<Reply>}
   */
  #create(method, params, signal) {
    // Two tabs that begin at the same time must not both claim the identity.
    return navigator.locks.request(nameOf(`new:${params.identity}`), async () => {
      const known = (await accounts()).find(({ about }) => about.identity === params.identity);
      if (known !== undefined && method === "createClient") return this.#finish(known.account, params, signal);
      const kept = this.#keep(params.account, params.client);
      await kept.enter();
      const reply = await kept.lead(() => this.#run(method, params, signal));
      if (!reply.ok) kept.leave();
      return reply;
    });
  }

  /**
   * What an earlier `createClient` has left whose registration did not come to its end.
   *
   * @param {string} account
   * @param {Record<string, any>} params
   * @param {AbortSignal} signal
   * @returns {Promise<Reply>}
   */
  async #finish(account, { client, identity }, signal) {
    const exists = `This browser keeps a client of ${identity} already. Open it with openClient().`;
    const opened = await this.#openAccount({ client, account }, signal);
    if (!opened.ok) return opened.fault.code === "already-open" ? refused("account-exists", exists, { account }) : opened;
    const registered = /** @type {ClientState} */ (opened.value).registered
      ? refused("account-exists", exists, { account })
      : await this.#answer("register", { client }, signal);
    if (registered.ok) return this.#answer("clientState", { client }, signal);
    await this.#answer("closeClient", { client }, signal);
    return registered;
  }

  /**
   * @param {Record<string, any>} params
   * @param {AbortSignal} signal
   * @returns {Promise<Reply>}
   */
  async #openAccount({ client, account, takeBack = false }, signal) {
    if ([...this.#open.values()].some((kept) => kept.account === account)) {
      return refused("already-open", "This page has that account open already.");
    }
    const kept = this.#keep(account, client);
    const reply = (await kept.enter())
      ? await this.#lead(kept, { client, account }, takeBack, signal)
      : await kept.call("clientState", { client }, signal);
    if (!reply.ok) kept.leave();
    return reply;
  }

  /**
   * @param {Kept} kept with its lock held: what is found of the account does not change under us
   * @param {{ client: number, account: string }} params
   * @param {boolean} takeBack
   * @param {AbortSignal} signal
   * @returns {Promise<Reply>}
   */
  async #lead(kept, params, takeBack, signal) {
    const about = await aboutOf(params.account);
    if (about === undefined) return refused("no-such-account", "This browser keeps no account of that name.");
    if (about.exported) {
      const reason = `${about.identity} was exported. Go on where it was imported; two that go on break each other's groups.`;
      if (!takeBack) return refused("account-exported", reason);
      await writeParts(params.account, [], [], { ...about, exported: false });
    }
    return kept.lead(() => this.#run("openClient", params, signal));
  }

  /**
   * @param {Record<string, any>} params
   * @param {AbortSignal} signal
   * @returns {Promise<Reply>}
   */
  #import(params, signal) {
    return navigator.locks.request(nameOf("import"), async () => {
      const reply = await this.#run("importAccount", params, signal);
      if (!reply.ok) return reply;
      const all = await accounts();
      const clientId = all.find((one) => one.account === params.account)?.about.clientId;
      const same = all.find((one) => one.about.clientId === clientId && one.account !== params.account);
      if (same === undefined) return reply;
      if (same.about.exported) {
        // It comes home, and takes the place of what was left here.
        const deleted = await this.#delete(same.account);
        return deleted.ok ? reply : deleted;
      }
      await removeAccount(params.account);
      return refused("account-exists", "This browser keeps that very client, and it was not exported from here since.");
    });
  }

  /**
   * @param {string} account
   * @returns {Promise<Reply>}
   */
  async #delete(account) {
    const here = [...this.#open.values()].find((kept) => kept.account === account);
    await here?.close("deleted");
    const others = new BroadcastChannel(nameOf(account));
    others.postMessage(/** @type {Said} */ ({ closed: "deleted" }));
    try {
      const signal = AbortSignal.timeout(LETTING_GO_MILLISECONDS);
      return await navigator.locks.request(nameOf(account), { signal }, async () => {
        await removeAccount(account);
        return /** @type {Reply} */ ({ ok: true, value: null });
      });
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
      return refused("in-use", "Another tab does not let go of that account. Close the other tabs of this site, then try again.");
    } finally {
      others.close();
    }
  }

  /**
   * Each tab says where the services are; who leads for one of our clients has to know as well.
   *
   * @param {Record<string, any>} params
   * @param {AbortSignal} signal
   * @returns {Promise<Reply>}
   */
  async #setDeliveryService(params, signal) {
    const reply = await this.#run("setDeliveryService", params, signal);
    if (!reply.ok) return reply;
    const leaders = [...this.#open.values()].filter((kept) => !kept.leads);
    const replies = await Promise.all(leaders.map((kept) => kept.call("setDeliveryService", params, signal)));
    return replies.find((one) => !one.ok) ?? reply;
  }

  /**
   * @param {string} account
   * @param {number} number
   */
  #keep(account, number) {
    const kept = new Kept(account, number, this.#run, this.#emit, () => this.#open.delete(number));
    this.#open.set(number, kept);
    return kept;
  }
}
