/**
 * The browser's `fetch` and `WebSocket` for `mls_federation.browser.transport`, which crosses from Python once for each
 * request or frame. What goes wrong comes back as a value: a rejected promise would reach Python as a foreign type.
 *
 * @typedef {{ kind: "unreachable" | "blocked" | "aborted" | "too-large" | "closed", reason: string, code: number }} Failure `code`
 *   is a close code of RFC 6455 §7.4
 * @typedef {{ timeout: number, maxOctets: number }} Limits milliseconds to wait, octets to accept
 */
import { policyFault, violationOf } from "./policy.js";

const CLOSED_ABNORMALLY = 1006;

/**
 * @param {string} method
 * @param {string} url
 * @param {Record<string, string>} headers
 * @param {Uint8Array | undefined} body
 * @param {AbortSignal | undefined} signal
 * @param {Limits} limits
 * @returns {Promise<{ status: number, headers: Record<string, string>, body: Uint8Array } | { failure: Failure }>}
 */
export async function request(method, url, headers, body, signal, { timeout, maxOctets }) {
  try {
    const response = await fetch(url, {
      method,
      headers,
      ...(body === undefined ? {} : { body: /** @type {Uint8Array<ArrayBuffer>} */ (body) }),
      signal: AbortSignal.any([AbortSignal.timeout(timeout), ...(signal ? [signal] : [])]),
      cache: "no-store",
      credentials: "omit",
      // A signed request is meant for the service that it names.
      redirect: "error",
      referrerPolicy: "no-referrer",
    });
    const octets = await readAll(response, maxOctets);
    if (octets === undefined) return failed("too-large", `its answer has more than ${maxOctets} octets`);
    return { status: response.status, headers: Object.fromEntries(response.headers), body: octets };
  } catch (error) {
    if (signal?.aborted) return failed("aborted", "it was given up");
    if (error instanceof DOMException && error.name === "TimeoutError") {
      return failed("unreachable", `no answer within ${timeout / 1000} seconds`);
    }
    // A browser does not tell a page which of the two it was.
    return unreached(url, "there is no connection, or it does not admit this page");
  }
}

/**
 * @param {Response} response
 * @param {number} maxOctets
 * @returns {Promise<Uint8Array | undefined>} undefined if there are more
 */
async function readAll(response, maxOctets) {
  if (response.body === null) return new Uint8Array();
  const chunks = [];
  let length = 0;
  const reader = response.body.getReader();
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    length += chunk.value.byteLength;
    if (length > maxOctets) {
      await reader.cancel();
      return undefined;
    }
    chunks.push(chunk.value);
  }
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}

/**
 * @param {string} url
 * @param {Limits} limits
 * @returns {Promise<Socket | { failure: Failure }>}
 */
export async function connect(url, { timeout, maxOctets }) {
  let socket;
  try {
    socket = new WebSocket(url);
  } catch (error) {
    return unreached(url, error instanceof Error ? error.message : String(error));
  }
  socket.binaryType = "arraybuffer";
  const wrapped = new Socket(socket, maxOctets);
  const timer = setTimeout(() => socket.close(), timeout);
  const opened = await new Promise((resolve) => {
    socket.addEventListener("open", () => resolve(true), { once: true });
    socket.addEventListener("close", () => resolve(false), { once: true });
  });
  clearTimeout(timer);
  return opened ? wrapped : unreached(url, "no WebSocket could be opened");
}

/** A WebSocket of which binary messages are read one at a time. */
export class Socket {
  #socket;
  /** @type {(Uint8Array | { failure: Failure })[]} */
  #arrived = [];
  /** @type {((message: Uint8Array | { failure: Failure }) => void)[]} */
  #waiting = [];
  /** @type {{ failure: Failure } | undefined} */
  #end;

  /**
   * @param {WebSocket} socket
   * @param {number} maxOctets
   */
  constructor(socket, maxOctets) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      if (!(data instanceof ArrayBuffer)) return this.#refuse("closed", "it sent text where octets are due");
      if (data.byteLength > maxOctets) return this.#refuse("too-large", `it sent more than ${maxOctets} octets at once`);
      this.#deliver(new Uint8Array(data));
    });
    socket.addEventListener("close", ({ code, reason }) => this.#finish("closed", reason || "the connection ended", code));
  }

  /**
   * @param {Uint8Array} octets
   * @returns {{ failure: Failure } | undefined}
   */
  send(octets) {
    if (this.#socket.readyState !== WebSocket.OPEN) return this.#end ?? failed("closed", "the connection is ending");
    this.#socket.send(/** @type {Uint8Array<ArrayBuffer>} */ (octets));
    return undefined;
  }

  /** @returns {Promise<Uint8Array | { failure: Failure }>} the next message; a failure once the connection has ended */
  receive() {
    const message = this.#arrived.shift() ?? this.#end;
    if (message !== undefined) return Promise.resolve(message);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  close() {
    this.#socket.close();
    this.#finish("closed", "the connection was closed here");
  }

  /** @param {Uint8Array} message */
  #deliver(message) {
    if (this.#end !== undefined) return;
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#arrived.push(message);
    else waiting(message);
  }

  /**
   * @param {Failure["kind"]} kind
   * @param {string} reason
   */
  #refuse(kind, reason) {
    this.#socket.close();
    this.#finish(kind, reason);
  }

  /**
   * @param {Failure["kind"]} kind
   * @param {string} reason
   * @param {number} [code]
   */
  #finish(kind, reason, code) {
    if (this.#end !== undefined) return;
    this.#end = failed(kind, reason, code);
    for (const waiting of this.#waiting.splice(0)) waiting(this.#end);
  }
}

/**
 * @param {string} url
 * @param {string} reason unless a policy forbade it
 * @returns {Promise<{ failure: Failure }>}
 */
async function unreached(url, reason) {
  const violation = await violationOf(url);
  return violation === undefined ? failed("unreachable", reason) : failed("blocked", policyFault(violation).message);
}

/**
 * @param {Failure["kind"]} kind
 * @param {string} reason
 * @param {number} [code]
 * @returns {{ failure: Failure }}
 */
function failed(kind, reason, code = CLOSED_ABNORMALLY) {
  return { failure: { kind, reason, code } };
}
