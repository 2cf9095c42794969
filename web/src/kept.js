/**
 * One client that is kept between visits, in one of the tabs that have it open: the tab that holds the account's lock leads, and runs the
 * client; the others follow, and ask the leader. When the leader goes, however it does, the browser hands the lock to the next, which
 * goes on from what is kept.
 *
 * @import { EventMessage, Reply } from "./protocol.js"
 */
import { accounts, StoreError, writeParts } from "./store.js";

/**
 * Answers a request by the client in Python.
 *
 * @typedef {(method: string, params: Record<string, any>, signal?: AbortSignal) => Promise<Reply>} Run
 *
 * What tabs say to each other about an account. Tabs are named by UUIDs.
 *
 * @typedef {{ ask: { from: string, id: number, method: string, params: object } }
 *   | { cancel: { from: string, id: number } }
 *   | { answer: { to: string, id: number, reply: Reply } }
 *   | { event: EventMessage }
 *   | { leads: string }
 *   | { closed: "exported" | "deleted" }} Said
 */

/** What may be asked again of the next leader, since it changes nothing; or, of contexts, since one that nobody uses does no harm. */
const REPEATABLE = new Set([
  "clientState",
  "deviceRequest",
  "devices",
  "exportRatchetTree",
  "exportSFrameKeys",
  "exportSecret",
  "exportSrtpKeys",
  "groupDetails",
  "reserveSFrameContext",
  "setDeliveryService",
]);

/** @param {string} account */
export const nameOf = (account) => `mls-federation:${account}`;

/**
 * @param {string} code
 * @param {string} message
 * @param {Record<string, unknown>} [details]
 * @returns {Reply & { ok: false }}
 */
export const refused = (code, message, details = {}) => ({ ok: false, fault: { code, message, details } });

/**
 * What is said of an account; undefined if there is none.
 *
 * @param {string} account
 */
export const aboutOf = async (account) => (await accounts()).find((one) => one.account === account)?.about;

/**
 * @param {unknown} error
 * @returns {Reply & { ok: false }}
 */
export function storeFault(error) {
  if (!(error instanceof StoreError)) throw error;
  const code = { refused: "storage-refused", failed: "storage-failed", unreadable: "unreadable-state" }[error.kind];
  return refused(code, `What this browser keeps cannot be used: ${error.message}.`);
}

/** One kept client, in this tab. */
export class Kept {
  account;
  /** Whether the client runs in this tab. */
  leads = false;
  #number;
  #run;
  #emit;
  #onleave;
  #tab = crypto.randomUUID();
  #channel;
  #nextAsk = 1;
  /** @type {Map<number, { method: string, params: object, resolve: (reply: Reply) => void }>} what the leader has not answered */
  #asked = new Map();
  /** @type {Map<string, AbortController>} what followers have asked us, by tab and number */
  #answering = new Map();
  /** @type {Promise<Reply>} the client in Python is there */
  #running = new Promise(() => {});
  /** Ends our waiting for the lock. */
  #waiting = new AbortController();
  #release = () => {};
  #left = false;

  /**
   * @param {string} account
   * @param {number} number the page's
   * @param {Run} run
   * @param {(event: EventMessage) => void} emit
   * @param {() => void} onleave
   */
  constructor(account, number, run, emit, onleave) {
    this.account = account;
    this.#number = number;
    this.#run = run;
    this.#emit = emit;
    this.#onleave = onleave;
    this.#channel = new BroadcastChannel(nameOf(account));
    this.#channel.onmessage = ({ data }) => void this.#hear(data);
  }

  /**
   * Lead if nobody does, else follow, and wait to lead.
   *
   * @returns {Promise<boolean>} whether we lead; then `lead` is to be called
   */
  async enter() {
    const leads = new Promise((resolve) => {
      void navigator.locks.request(nameOf(this.account), { ifAvailable: true }, (lock) => {
        resolve(lock !== null);
        return lock === null ? undefined : this.#hold();
      });
    });
    this.leads = await leads;
    if (!this.leads) void this.#waitToLead();
    return this.leads;
  }

  /**
   * Have the client made in Python, with the lock held.
   *
   * @param {() => Promise<Reply>} make
   * @returns {Promise<Reply>}
   */
  async lead(make) {
    this.leads = true;
    this.#running = make();
    // Who has asked the leader before us asks again now, or hears that nobody knows what came of it.
    this.#say({ leads: this.#tab });
    this.#askAgain();
    return this.#stated(await this.#running);
  }

  /**
   * @param {string} method
   * @param {Record<string, any>} params
   * @param {AbortSignal} signal
   * @returns {Promise<Reply>}
   */
  async call(method, params, signal) {
    if (method === "closeClient") {
      await this.close();
      return { ok: true, value: null };
    }
    if (this.leads) {
      const reply = await this.#lead(method, params, signal);
      this.#afterAnswer(method, reply);
      return this.#stated(reply);
    }
    // The leader's page has it too, and says so.
    if (method === "told") return { ok: true, value: null };
    return this.#stated(await this.#ask(method, params, signal));
  }

  /**
   * @param {"exported" | "deleted"} [reason] none: only this tab lets go of it
   */
  async close(reason) {
    if (this.leads) {
      const running = await this.#running;
      // It changes nothing any more when this returns: the next leader has the last state.
      if (running.ok) await this.#run("closeClient", { client: this.#number });
    }
    this.#leaveFor(reason);
  }

  /** Let go of the lock and of the other tabs. */
  leave() {
    this.#left = true;
    this.leads = false;
    this.#waiting.abort();
    this.#release();
    this.#channel.close();
    for (const { resolve } of this.#asked.values()) resolve(refused("closed", "This client was closed."));
    this.#asked.clear();
    this.#onleave();
  }

  /**
   * Tell followers what has happened, if there is such.
   *
   * @param {EventMessage} event
   */
  share(event) {
    if (this.leads) this.#say({ event });
  }

  /** @param {"exported" | "deleted"} [reason] */
  #leaveFor(reason) {
    if (this.#left) return;
    this.leave();
    if (reason !== undefined) this.#emit({ name: "closed", detail: { client: this.#number, reason } });
  }

  /** @returns {Promise<void>} resolves when the lock is to be let go of */
  #hold() {
    return new Promise((resolve) => (this.#release = resolve));
  }

  async #waitToLead() {
    try {
      await navigator.locks.request(nameOf(this.account), { signal: this.#waiting.signal }, () => this.#takeOver());
    } catch (error) {
      if (this.#waiting.signal.aborted) return;
      this.#emit({ name: "error", detail: { client: this.#number, fault: storeFault(error).fault } });
      this.leave();
    }
  }

  /** Go on with the client, the lock being ours; returns when it is to be let go of. */
  async #takeOver() {
    const held = this.#hold();
    // Who led may have let go of it because nobody is to go on with it here, and we may not have heard of that yet.
    const about = await aboutOf(this.account);
    if (about === undefined || about.exported) this.#leaveFor(about === undefined ? "deleted" : "exported");
    if (this.#left) return;
    const params = { client: this.#number, account: this.account };
    const reply = await this.lead(() => this.#run("openClient", params));
    if (reply.ok) {
      this.#emit({ name: "lead", detail: { client: this.#number } });
      await held;
    } else {
      this.#emit({ name: "error", detail: { client: this.#number, fault: reply.fault } });
      this.leave();
    }
  }

  /**
   * Answer a request, our page's or another tab's, by the client that runs here.
   *
   * @param {string} method
   * @param {Record<string, any>} params
   * @param {AbortSignal} [signal]
   * @returns {Promise<Reply>}
   */
  async #lead(method, params, signal) {
    const running = await this.#running;
    if (!running.ok) return running;
    const own = "client" in params ? { ...params, client: this.#number } : params;
    if (method !== "exportAccount") return this.#run(method, own, signal);
    // Said before anybody has the copy: there is never a moment at which both seem to be the one.
    const about = await aboutOf(this.account);
    await writeParts(this.account, [], [], { ...about, exported: true });
    const reply = await this.#run(method, own, signal);
    if (!reply.ok) await writeParts(this.account, [], [], about);
    return reply;
  }

  /**
   * Once it was exported, nobody goes on with it here.
   *
   * @param {string} method
   * @param {Reply} reply
   */
  #afterAnswer(method, reply) {
    if (method !== "exportAccount" || !reply.ok) return;
    this.#say({ closed: "exported" });
    this.#leaveFor("exported");
  }

  /**
   * Ask the leader.
   *
   * @param {string} method
   * @param {Record<string, any>} params
   * @param {AbortSignal} signal
   * @returns {Promise<Reply>}
   */
  #ask(method, params, signal) {
    const id = this.#nextAsk++;
    return new Promise((resolve) => {
      // The leader answers what came of it: what was made before is not unmade.
      const cancel = () => this.#say({ cancel: { from: this.#tab, id } });
      const settle = (/** @type {Reply} */ reply) => {
        signal.removeEventListener("abort", cancel);
        this.#asked.delete(id);
        resolve(reply);
      };
      signal.addEventListener("abort", cancel, { once: true });
      this.#asked.set(id, { method, params, resolve: settle });
      this.#say({ ask: { from: this.#tab, id, method, params } });
    });
  }

  /** There is another leader: what changes nothing is asked again, of the rest nobody knows what came of it. */
  #askAgain() {
    for (const [id, { method, params, resolve }] of [...this.#asked]) {
      if (!REPEATABLE.has(method)) {
        const doubt = "The tab that ran this client was closed before it answered; the call may have been carried out or not.";
        resolve(refused("leader-closed", `${doubt} Look at how things stand before you repeat it.`, { method }));
      } else if (this.leads) {
        void this.#lead(method, params).then(resolve);
      } else {
        this.#say({ ask: { from: this.#tab, id, method, params } });
      }
    }
  }

  /** @param {Said} said by another tab */
  async #hear(said) {
    if ("ask" in said) {
      if (this.leads) await this.#answer(said.ask);
    } else if ("cancel" in said) {
      this.#answering.get(`${said.cancel.from} ${said.cancel.id}`)?.abort();
    } else if ("answer" in said) {
      if (said.answer.to === this.#tab) this.#asked.get(said.answer.id)?.resolve(said.answer.reply);
    } else if ("event" in said) {
      this.#emit(/** @type {EventMessage} */ ({ ...said.event, detail: { ...said.event.detail, client: this.#number } }));
    } else if ("leads" in said) {
      this.#askAgain();
    } else {
      await this.close(said.closed);
    }
  }

  /** @param {{ from: string, id: number, method: string, params: object }} ask */
  async #answer({ from, id, method, params }) {
    const controller = new AbortController();
    this.#answering.set(`${from} ${id}`, controller);
    const reply = await this.#lead(method, params, controller.signal).catch(storeFault);
    this.#answering.delete(`${from} ${id}`);
    this.#say({ answer: { to: from, id, reply } });
    this.#afterAnswer(method, reply);
  }

  /**
   * A reply that says how the client stands says whether it runs in this tab, and by which number this page knows it.
   *
   * @param {Reply} reply
   * @returns {Reply}
   */
  #stated(reply) {
    if (!reply.ok || reply.value === null || typeof reply.value !== "object" || !("fingerprint" in reply.value)) return reply;
    if (!("registered" in reply.value)) return reply;
    return { ok: true, value: { ...reply.value, client: this.#number, account: this.account, leads: this.leads } };
  }

  /** @param {Said} said */
  #say(said) {
    if (!this.#left) this.#channel.postMessage(said);
  }
}
