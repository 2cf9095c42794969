/** Measures SFrame beside the bare WebCrypto calls that it consists of: the two take turns. Times are microseconds for one frame. */
import { FrameReceiver, FrameSender, SFRAME_CIPHER_SUITES, deriveKey } from "/mls-federation/sframe.js";

const { subtle } = crypto;

/** @param {() => Promise<unknown>} once */
async function microseconds(once, times) {
  const start = performance.now();
  for (let done = 0; done < times; done += 1) await once();
  return ((performance.now() - start) * 1000) / times;
}

async function bareCalls(suite, frame) {
  const { aead, Nk, Nka, Nt, hash } = SFRAME_CIPHER_SUITES[suite];
  const key = await subtle.importKey("raw", new Uint8Array(Nka || Nk), aead, false, ["encrypt", "decrypt"]);
  const additionalData = new Uint8Array(5);
  if (aead === "AES-GCM") {
    const algorithm = { name: aead, iv: new Uint8Array(12), additionalData, tagLength: 8 * Nt };
    const sealed = await subtle.encrypt(algorithm, key, frame);
    return [() => subtle.encrypt(algorithm, key, frame), (octets) => subtle.decrypt(algorithm, key, octets), sealed];
  }
  const mac = await subtle.importKey("raw", new Uint8Array(Nk - Nka), { name: "HMAC", hash }, false, ["sign"]);
  const algorithm = { name: aead, counter: new Uint8Array(16), length: 32 };
  const both = (method) => async (octets) => {
    await subtle[method](algorithm, key, octets);
    await subtle.sign("HMAC", mac, octets);
  };
  return [() => both("encrypt")(frame), both("decrypt"), frame];
}

onmessage = async ({ data: { suite, size, rounds, times } }) => {
  const frame = new Uint8Array(size).map((_, place) => (place * 7) & 255);
  const key = await deriveKey({ cipherSuite: suite, baseKey: new Uint8Array(16), keyId: 0x0301n });
  const [bareProtect, bareUnprotect, sealed] = await bareCalls(suite, frame);
  const sender = new FrameSender(key, 300n);
  const into = new Uint8Array(size + 40);
  const results = { bareProtect: [], protect: [], protectReleased: [], protectInto: [], bareUnprotect: [], unprotect: [] };
  for (let round = -2; round < rounds; round += 1) {
    const frames = [];
    for (let number = 0; number < times; number += 1) frames.push(await sender.protect(frame));
    // As many as there are frames, which are not in the processor's cache either.
    const copies = frames.map(() => sealed.slice(0));
    const receiver = new FrameReceiver({ window: 65536 });
    receiver.set(key);
    const measured = {
      bareProtect: await microseconds(bareProtect, times),
      protect: await microseconds(() => sender.protect(frame), times),
      // The same, and its memory is given back after use, as the worker of a call does it.
      protectReleased: await microseconds(async () => (await sender.protect(frame)).buffer.transfer(0), times),
      // The same, into memory that is used again.
      protectInto: await microseconds(() => sender.protect(frame, undefined, into), times),
      bareUnprotect: await microseconds(() => bareUnprotect(copies.pop()), times),
      unprotect: await microseconds(() => receiver.unprotect(frames.pop()), times),
    };
    // The first rounds make it warm.
    if (round >= 0) for (const name in results) results[name].push(measured[name]);
  }
  postMessage(results);
};
