/**
 * The worker of a call, as the page knows it, and how the browser is made to send frames through it.
 *
 * @import { EpochKeys, FrameCounts, FrameEvent, FrameRequest, FrameStream } from "./call-protocol.js"
 * @import { CounterRange, SendingKey } from "./call-types.js"
 */
import { MLSError, toError } from "./errors.js";
import { startFault, startWorker } from "./starting.js";

/** @typedef {new (worker: Worker, options: FrameStream) => object} ScriptTransform */
/** @typedef {{ readable: ReadableStream, writable: WritableStream }} EncodedStreams */
/** @typedef {(RTCRtpSender | RTCRtpReceiver) & { transform?: object | null, createEncodedStreams?(): EncodedStreams }} Transformed */

const scriptTransform = () => /** @type {{ RTCRtpScriptTransform?: ScriptTransform }} */ (globalThis).RTCRtpScriptTransform;

/** @throws {MLSError} `no-encoded-transforms` */
export function requireEncodedTransforms() {
  if (scriptTransform() !== undefined) return;
  if (globalThis.RTCRtpSender !== undefined && "createEncodedStreams" in RTCRtpSender.prototype) return;
  const message = "This browser cannot encrypt the frames of a call (it has no encoded transforms), so no call is made. Use a later one.";
  throw new MLSError("no-encoded-transforms", message);
}

/** Encrypts and decrypts the frames of a call, in a worker. */
export class FrameWorker {
  #worker;
  #onsending;
  #onfault;
  #nextRequest = 1;
  /** @type {Map<number, (counts: { streams: FrameCounts[], counters: CounterRange[] }) => void>} by request */
  #asked = new Map();
  /** @type {Map<string, () => void>} by what is awaited, and the stream */
  #awaited = new Map();
  #nextStream = 1;

  /**
   * @param {string} base address of the folder with the worker
   * @param {(key: SendingKey) => void} onsending called when our frames are under another key
   * @param {(error: MLSError, connection?: number) => void} onfault called when frames of a connection, or all, go through no more
   */
  constructor(base, onsending, onfault) {
    this.#onsending = onsending;
    this.#onfault = onfault;
    this.#worker = startWorker(base, "call-worker.js");
    this.#worker.addEventListener("message", (event) => this.#receive(event.data));
    this.#worker.addEventListener("error", (event) => {
      event.preventDefault();
      const reason = event.message;
      if (reason) onfault(new MLSError("worker-ended", `The worker of the call has ended: ${reason}.`, { reason }));
      else void startFault(base, "call-worker.js").then((fault) => onfault(toError(fault)));
    });
  }

  /**
   * @param {EpochKeys} keys
   * @param {number} switchDelay milliseconds until our own frames are under them
   */
  setKeys(keys, switchDelay) {
    this.#tell({ type: "keys", keys, switchDelay });
  }

  /** @param {bigint} epoch */
  erase(epoch) {
    this.#tell({ type: "erase", epoch });
  }

  /**
   * Send the frames of a sender or receiver through the worker. To be called in the turn that made it: later, a browser may let frames
   * pass it by.
   *
   * @param {RTCRtpSender | RTCRtpReceiver} end
   * @param {Omit<FrameStream, "stream">} about
   * @returns {{ stream: number, attached: Promise<void>, flowing: Promise<void> }} `attached`: when the worker has got hold of it;
   *   `flowing`: when a frame has gone through the worker
   * @throws {MLSError} `unprotected-media`: the browser does not take the transform
   */
  attach(end, about) {
    const stream = this.#nextStream++;
    const frameStream = { ...about, stream };
    const [attached, flowing] = ["attached", "flowing"].map(
      (name) => /** @type {Promise<void>} */ (new Promise((resolve) => this.#awaited.set(`${name} ${stream}`, resolve))),
    );
    const transformed = /** @type {Transformed} */ (end);
    const Transform = scriptTransform();
    if (Transform === undefined) {
      const { readable, writable } = /** @type {Required<Transformed>} */ (transformed).createEncodedStreams();
      this.#tell({ type: "streams", frameStream, readable, writable }, [readable, writable]);
    } else {
      const transform = new Transform(this.#worker, frameStream);
      transformed.transform = transform;
      if (transformed.transform !== transform) {
        throw new MLSError("unprotected-media", "The browser does not let frames be encrypted, so none are sent.", { media: about.media });
      }
    }
    return { stream, attached, flowing };
  }

  /** @returns {Promise<{ streams: FrameCounts[], counters: CounterRange[] }>} of all streams, as they are when the worker is asked */
  counts() {
    const request = this.#nextRequest++;
    const counts = /** @type {ReturnType<FrameWorker["counts"]>} */ (new Promise((resolve) => this.#asked.set(request, resolve)));
    this.#tell({ type: "count", request });
    return counts;
  }

  /**
   * Decrypt no more frames of a connection, though they may come.
   *
   * @param {number} connection
   */
  refuse(connection) {
    this.#tell({ type: "refuse", connection });
  }

  /**
   * Forget a connection that is closed.
   *
   * @param {number} connection
   */
  close(connection) {
    this.#tell({ type: "close", connection });
  }

  /** End it, with all keys that it has. */
  end() {
    this.#worker.terminate();
  }

  /**
   * @param {FrameRequest} request
   * @param {Transferable[]} [transferred]
   */
  #tell(request, transferred = []) {
    this.#worker.postMessage(request, transferred);
  }

  /** @param {FrameEvent} event */
  #receive(event) {
    switch (event.type) {
      case "attached":
      case "flowing": {
        const awaited = `${event.type} ${event.stream}`;
        this.#awaited.get(awaited)?.();
        this.#awaited.delete(awaited);
        break;
      }
      case "counts":
        this.#asked.get(event.request)?.(event);
        this.#asked.delete(event.request);
        break;
      case "sending":
        this.#onsending(event.key);
        break;
      case "fault":
        this.#onfault(toError(event.fault), event.connection);
        break;
    }
  }
}
