/**
 * What start-up loads, counted as it arrives.
 *
 * @import { Progress } from "./protocol.js"
 */

/** A file of start-up could not be had. */
export class LoadError extends Error {
  /**
   * @param {string} file address of the file
   * @param {string} reason
   */
  constructor(file, reason) {
    super(`${file} could not be loaded (${reason}). Check the connection and that the file is served, then reload the page.`);
    this.file = file;
    this.reason = reason;
  }
}

/** Follows the downloads of start-up by standing before `fetch` from its creation to `end()`. */
export class Progression {
  /** Rejects when a file cannot be had, since not everything that waits for one notices. @type {Promise<never>} */
  failed;
  /** @type {(error: LoadError) => void} */
  #reject = () => {};
  #base;
  #report;
  /** @type {Progress["stage"]} */
  #stage = "runtime";
  /** @type {Record<string, number>} octets of each file, by address */
  #sizes = {};
  #received = 0;
  #total = 0;
  #runtime = "";
  #fetch = globalThis.fetch;

  /**
   * @param {string} base address of the folder with `assets.json`
   * @param {(progress: Progress) => void} report
   */
  constructor(base, report) {
    this.#base = base;
    this.#report = report;
    this.failed = new Promise((_, reject) => (this.#reject = reject));
    // Whoever loads waits for it; a failure that comes when nobody does is no unhandled one.
    this.failed.catch(() => {});
    globalThis.fetch = (input, init) => this.#countedFetch(input, init);
  }

  /**
   * @param {Record<string, number>} bytes octets of each file, by its address relative to the base
   * @param {(file: string) => boolean} loaded whether start-up loads this one
   * @param {string} runtime the file with which the stage `runtime` ends
   */
  expect(bytes, loaded, runtime) {
    this.#runtime = new URL(runtime, this.#base).href;
    for (const [file, size] of Object.entries(bytes)) {
      if (!loaded(file)) continue;
      this.#sizes[new URL(file, this.#base).href] = size;
      this.#total += size;
    }
  }

  /** @param {Progress["stage"]} stage */
  enter(stage) {
    this.#stage = stage;
    if (stage === "ready") this.#received = this.#total;
    this.#report({ stage, received: this.#received, total: this.#total });
  }

  /**
   * Import a module. How much of it has arrived cannot be seen, so it counts when it is there.
   *
   * @param {string} file address relative to the base
   * @returns {Promise<any>}
   */
  async import(file) {
    const url = new URL(file, this.#base).href;
    try {
      const module = await import(url);
      this.#add(this.#sizes[url] ?? 0);
      return module;
    } catch (error) {
      throw this.#fail(url, error instanceof Error ? error.message : String(error));
    }
  }

  end() {
    globalThis.fetch = this.#fetch;
  }

  /**
   * @param {RequestInfo | URL} input
   * @param {RequestInit} [init]
   */
  async #countedFetch(input, init) {
    const url = input instanceof Request ? input.url : new URL(input, this.#base).href;
    let response;
    try {
      response = await this.#fetch.call(globalThis, input, init);
    } catch (error) {
      throw this.#fail(url, error instanceof Error ? error.message : String(error));
    }
    if (!response.ok) throw this.#fail(url, `HTTP ${response.status}`);
    // The caller gets the response as it is, since compiled WebAssembly is cached with it; a copy is counted.
    if (url in this.#sizes) void this.#countBody(response.clone(), url);
    return response;
  }

  /**
   * @param {Response} response
   * @param {string} url
   */
  async #countBody(response, url) {
    const reader = response.body?.getReader();
    if (reader === undefined) return;
    try {
      for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) this.#add(chunk.value.byteLength);
      if (url === this.#runtime && this.#stage === "runtime") this.enter("python");
    } catch (error) {
      this.#fail(url, error instanceof Error ? error.message : String(error));
    }
  }

  /** @param {number} octets */
  #add(octets) {
    if (this.#stage === "ready") return;
    this.#received = Math.min(this.#received + octets, this.#total);
    this.#report({ stage: this.#stage, received: this.#received, total: this.#total });
  }

  /**
   * @param {string} url
   * @param {string} reason
   */
  #fail(url, reason) {
    const error = new LoadError(url, reason);
    // Only the first rejection counts: it is the cause of what follows.
    this.#reject(error);
    return error;
  }
}
