/**
 * What start-up loads: all at once, and counted as it arrives.
 *
 * @import { Progress } from "./protocol.js"
 */

/**
 * @typedef {{
 *   version: string,
 *   pyodide: { version: string, directory: string, lock: object, packages?: string[] },
 *   wheels: string[],
 *   bytes: Record<string, number>,
 * }} Assets `assets.json`: what start-up loads, with addresses relative to that file
 */

/** How many reports there are of what has arrived, at most. */
const REPORTS = 50;

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

/**
 * The downloads of start-up. From its creation to `end()` it stands before `fetch`, so that whoever asks for a file that is on its way
 * gets that one.
 */
export class Downloads {
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
  #told = 0;
  #total = 0;
  #runtime = "";
  /** @type {Map<string, Promise<Response>>} what was begun and nobody has asked for yet, by address */
  #begun = new Map();
  /** @type {Set<string>} what is not counted in pieces, by address */
  #whole = new Set();
  /** @type {Map<string, Promise<Uint8Array>>} */
  #octets = new Map();
  #fetch = globalThis.fetch;

  /**
   * @param {string} base address of the folder with `assets.json`
   * @param {(progress: Progress) => unknown} report
   */
  constructor(base, report) {
    this.#base = base;
    this.#report = report;
    this.failed = new Promise((_, reject) => (this.#reject = reject));
    // Whoever loads waits for it; a failure that comes when nobody does is no unhandled one.
    this.failed.catch(() => {});
    globalThis.fetch = (input, init) => this.#countedFetch(input, init);
  }

  get base() {
    return this.#base;
  }

  /**
   * @param {string} file address relative to the base
   * @returns {string}
   */
  address(file) {
    return new URL(file, this.#base).href;
  }

  /** @returns {Promise<Assets>} */
  async assets() {
    return (await fetch(this.address("assets.json"))).json();
  }

  /**
   * @param {Record<string, number>} bytes octets of each file that will be loaded, by its address relative to the base; it may be named again
   * @param {string} runtime the file with which the stage `runtime` ends
   */
  expect(bytes, runtime) {
    this.#runtime = this.address(runtime);
    for (const [file, size] of Object.entries(bytes)) {
      const url = this.address(file);
      this.#total += size - (this.#sizes[url] ?? 0);
      this.#sizes[url] = size;
    }
  }

  /**
   * Something else than a file is read too.
   *
   * @param {number} octets
   */
  expectMore(octets) {
    this.#total += octets;
  }

  /** @param {number} octets of what `expectMore` announced */
  arrived(octets) {
    this.#add(octets);
  }

  /**
   * @param {Progress["stage"]} stage
   * @returns {Promise<void>} when the report has been taken, which comes to the page by another way than the end of loading
   */
  async enter(stage) {
    this.#stage = stage;
    if (stage === "ready") this.#received = this.#total;
    await this.#tell();
  }

  /**
   * Fetch a file that somebody will ask for.
   *
   * @param {string} file address relative to the base
   * @param {{ inPieces?: boolean }} [options] `inPieces`: whether what arrives of it is counted, or the whole of it in the end
   */
  begin(file, { inPieces = true } = {}) {
    const url = this.address(file);
    if (this.#begun.has(url)) return;
    if (!inPieces) this.#whole.add(url);
    const response = this.#countedFetch(url);
    // It is reported by `failed`, also when nobody has asked for the file yet.
    response.catch(() => {});
    this.#begun.set(url, response);
  }

  /**
   * Have this given to who asks for a file, which need not exist.
   *
   * @param {string} file address relative to the base
   * @param {Response} response
   */
  answer(file, response) {
    this.#begun.set(this.address(file), Promise.resolve(response));
  }

  /**
   * The WebAssembly of a file that `begin` was called for.
   *
   * @param {string} file address relative to the base
   * @returns {Promise<WebAssembly.Module>}
   */
  compiled(file) {
    const url = this.address(file);
    const module = WebAssembly.compileStreaming(/** @type {Promise<Response>} */ (this.#begun.get(url)));
    // Pyodide waits for ever for what cannot be compiled.
    module.then(() => this.#whole.has(url) && this.#addWhole(url), (error) => this.#fail(url, error.message));
    return module;
  }

  /**
   * The content of a file, which is fetched once.
   *
   * @param {string} file address relative to the base
   * @returns {Promise<Uint8Array>}
   */
  octets(file) {
    let octets = this.#octets.get(file);
    if (octets === undefined) {
      octets = fetch(this.address(file)).then(async (response) => new Uint8Array(await response.arrayBuffer()));
      octets.catch(() => {});
      this.#octets.set(file, octets);
    }
    return octets;
  }

  /**
   * Import a module. How much of it has arrived cannot be seen, so it counts when it is there.
   *
   * @param {string} file address relative to the base
   * @returns {Promise<any>}
   */
  async import(file) {
    const url = this.address(file);
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
    const url = input instanceof Request ? input.url : this.address(String(input));
    const begun = this.#begun.get(url);
    if (begun !== undefined) {
      this.#begun.delete(url);
      return begun;
    }
    let response;
    try {
      response = await this.#fetch.call(globalThis, input, init);
    } catch (error) {
      throw this.#fail(url, error instanceof Error ? error.message : String(error));
    }
    if (!response.ok) throw this.#fail(url, `HTTP ${response.status}`);
    // The caller gets the response as it is, since compiled WebAssembly is cached with it; a copy is counted.
    if (url in this.#sizes && !this.#whole.has(url)) void this.#countBody(response.clone(), url);
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
      this.#arrived(url);
    } catch (error) {
      this.#fail(url, error instanceof Error ? error.message : String(error));
    }
  }

  /** @param {string} url */
  #addWhole(url) {
    this.#add(this.#sizes[url] ?? 0);
    this.#arrived(url);
  }

  /** @param {string} url of what is there, all of it */
  #arrived(url) {
    if (url === this.#runtime && this.#stage === "runtime") void this.enter("python");
  }

  /** @param {number} octets */
  #add(octets) {
    if (this.#stage === "ready") return;
    this.#received = Math.min(this.#received + octets, this.#total);
    // Each report is a message to the page, and pieces come by the hundred.
    if (this.#received - this.#told >= this.#total / REPORTS) void this.#tell();
  }

  async #tell() {
    this.#told = this.#received;
    try {
      await this.#report({ stage: this.#stage, received: this.#received, total: this.#total });
    } catch (error) {
      // A page that cannot show how far it is has its client all the same.
      console.warn("onprogress failed:", error);
    }
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
