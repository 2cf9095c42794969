/**
 * The worker, as the page knows it.
 *
 * @import { AllRequests, CryptoProvider, EventMessage, Progress, Reply, StartedFrom, WorkerInterface } from "./protocol.js"
 */
import { MLSError, toError } from "./errors.js";
import { startFault, startWorker } from "./starting.js";
import { proxy, wrap } from "./vendor/comlink.js";

/**
 * The provider that was chosen, and what the interpreter was started from.
 *
 * @typedef {{ crypto: CryptoProvider, startedFrom: StartedFrom }} Loaded
 */

/** The worker, and the calls that wait for it. */
export class Engine {
  #base;
  #worker;
  #remote;
  #nextCall = 1;
  /** @type {Set<(error: MLSError) => void>} */
  #pending = new Set();
  /** @type {MLSError | undefined} */
  #ended;
  #onend;
  #loaded = false;

  /**
   * @param {string} base address of the folder with the worker and what it loads
   * @param {(error: MLSError) => void} onend called once, if the worker ends by itself
   */
  constructor(base, onend) {
    this.#base = base;
    this.#onend = onend;
    this.#worker = startWorker(base);
    this.#remote = /** @type {import("comlink").Remote<WorkerInterface>} */ (wrap(this.#worker));
    // After an error that nothing caught, the state of the engine is unknown: better no engine than that one.
    this.#worker.addEventListener("error", (event) => {
      event.preventDefault();
      // What has a message comes from a script that runs.
      if (event.message || this.#loaded) this.#fail(event.message || "it does not say why");
      else void startFault(this.#base).then((fault) => this.#abandon(toError(fault)));
    });
    this.#worker.addEventListener("messageerror", () => this.#fail("it sent something that cannot be read"));
    addEventListener("pagehide", this.#onhide);
  }

  /**
   * @param {string} base as for the constructor
   * @param {(error: MLSError) => void} onend as for the constructor
   * @returns {Promise<Engine>}
   */
  static async start(base, onend) {
    try {
      return new Engine(base, onend);
    } catch (error) {
      // WebKit throws where others tell of an error later.
      if (error instanceof DOMException) throw toError(await startFault(base));
      throw error;
    }
  }

  /**
   * @param {import("./protocol.js").LoadOptions} options
   * @param {(progress: Progress) => void} onprogress
   * @param {(event: EventMessage) => void} onevent
   * @returns {Promise<Loaded>}
   */
  async load(options, onprogress, onevent) {
    const loaded = /** @type {Loaded} */ (await this.#answer(this.#remote.load(options, proxy(onprogress), proxy(onevent))));
    this.#loaded = true;
    return loaded;
  }

  /**
   * @template {keyof AllRequests} Method
   * @param {Method} method
   * @param {AllRequests[Method]["params"]} params
   * @param {AbortSignal} [signal]
   * @returns {Promise<AllRequests[Method]["result"]>}
   */
  async call(method, params, signal) {
    signal?.throwIfAborted();
    const id = this.#nextCall++;
    // A signal cannot cross to the worker; its cancellation can.
    const cancel = () => void this.#remote.cancel(id);
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      return /** @type {AllRequests[Method]["result"]} */ (await this.#answer(this.#remote.call(id, method, params)));
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener("abort", cancel);
    }
  }

  /** @param {MLSError} reason what calls that are under way, and later ones, are told */
  end(reason) {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    removeEventListener("pagehide", this.#onhide);
    this.#worker.terminate();
    for (const reject of this.#pending) reject(reason);
    this.#pending.clear();
  }

  /**
   * WebKit keeps a page for "back" though it holds locks, and no other page could go on with its clients then: the engine ends here,
   * and the page hears of it if it comes back. Other browsers do not keep such pages.
   *
   * @param {PageTransitionEvent} event
   */
  #onhide = ({ persisted }) => {
    if (!persisted) return;
    const error = new MLSError("suspended", "The browser put this page aside, and its MLS engine has ended. Reload the page.");
    this.end(error);
    addEventListener("pageshow", () => this.#onend(error), { once: true });
  };

  /** @param {string} reason */
  #fail(reason) {
    this.#abandon(new MLSError("worker-ended", `The MLS worker has ended: ${reason}. Reload the page.`, { reason }));
  }

  /** @param {MLSError} error */
  #abandon(error) {
    if (this.#ended !== undefined) return;
    this.end(error);
    this.#onend(error);
  }

  /**
   * @param {Promise<Reply>} reply
   * @returns {Promise<unknown>}
   */
  async #answer(reply) {
    if (this.#ended !== undefined) throw this.#ended;
    /** @type {(error: MLSError) => void} */
    let reject = () => {};
    const ended = new Promise((_, rejectEnded) => this.#pending.add((reject = rejectEnded)));
    try {
      const settled = /** @type {Reply} */ (await Promise.race([reply, ended]));
      if (settled.ok) return settled.value;
      throw toError(settled.fault);
    } catch (error) {
      if (error instanceof MLSError) throw error;
      if (error instanceof DOMException && error.name === "DataCloneError") {
        throw new MLSError("bad-argument", `An argument cannot be sent to the worker: ${error.message}`);
      }
      throw new MLSError("internal-error", `The MLS worker failed: ${error}. Reload the page.`);
    } finally {
      this.#pending.delete(reject);
    }
  }
}
