/** What the tests of SFrame ask of JavaScript: numbers are decimal digits, octets hexadecimal ones. */
import * as sframe from "/mls-federation/sframe.js";

export const hex = (octets) => Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
export const unhex = (digits) => Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));

export const keyOf = ({ suite, baseKey, keyId }) =>
  sframe.deriveKey({ cipherSuite: suite, baseKey: unhex(baseKey), keyId: BigInt(keyId) });

/** One frame for each case, protected. */
export const protectAll = (cases) =>
  Promise.all(
    cases.map(async (one) => {
      const sender = new sframe.FrameSender(await keyOf(one), BigInt(one.counter));
      return hex(await sender.protect(unhex(one.frame), unhex(one.metadata)));
    }),
  );

/** The same, each behind its metadata. */
export const protectAllBehind = (cases) =>
  Promise.all(
    cases.map(async (one) => {
      const sender = new sframe.FrameSender(await keyOf(one), BigInt(one.counter));
      const octets = await sender.protectBehind(unhex(one.metadata), unhex(one.frame));
      if (octets.length !== octets.buffer.byteLength) throw new Error("its buffer has something else in it");
      return hex(octets);
    }),
  );

/** Frames of one sender, protected at the same time; each behind two octets of another's. */
export const protectAtOnce = async ({ frames, ...one }) => {
  const sender = new sframe.FrameSender(await keyOf(one), BigInt(one.counter));
  return Promise.all(
    frames.map(async (digits) => {
      const frame = unhex(digits);
      const octets = new Uint8Array(2 + sender.sizeOf(frame.length)).fill(0xaa);
      const written = await sender.protect(frame, unhex(one.metadata), octets.subarray(2));
      if (written.buffer !== octets.buffer || written.length !== octets.length - 2) throw new Error("not written there");
      return hex(octets);
    }),
  );
};

/** Frames of one sender, opened at the same time. */
export const unprotectAtOnce = async ({ protectedFrames, ...one }) => {
  const receiver = new sframe.FrameReceiver();
  receiver.set(await keyOf(one));
  const opened = await Promise.all(protectedFrames.map((octets) => receiver.unprotect(unhex(octets), unhex(one.metadata))));
  return opened.map(({ frame }) => hex(frame));
};

/** The frame of each protected one. */
export const unprotectAll = (cases) =>
  Promise.all(
    cases.map(async (one) => {
      const receiver = new sframe.FrameReceiver();
      receiver.set(await keyOf(one));
      const { frame, keyId, counter } = await receiver.unprotect(unhex(one.octets), unhex(one.metadata));
      return { frame: hex(frame), keyId: String(keyId), counter: String(counter) };
    }),
  );

/** Headers as they are encoded, and what comes of decoding them. */
export const headers = (pairs) =>
  pairs.map(([keyId, counter]) => {
    const octets = sframe.encodeHeader(BigInt(keyId), BigInt(counter));
    const decoded = sframe.decodeHeader(Uint8Array.of(...octets, 1, 2, 3));
    return [hex(octets), String(decoded.keyId), String(decoded.counter), decoded.size];
  });

/** The code of what a call throws; undefined if it throws nothing. */
export const code = async (call) => {
  try {
    await call();
    return undefined;
  } catch (error) {
    if (error.name !== "MLSError") throw error;
    return error.code;
  }
};

/** The codes of headers that are none. */
export const headerCodes = (octets) => Promise.all(octets.map((one) => code(() => sframe.decodeHeader(unhex(one)))));

/** One change of one octet after the other, of the frame and of its metadata: their codes, and then the frame itself. */
export const tamper = async ({ octets, metadata, ...key }) => {
  const receiver = new sframe.FrameReceiver();
  receiver.set(await keyOf(key));
  const codes = { frame: [], metadata: [], short: [] };
  const given = { frame: unhex(octets), metadata: unhex(metadata) };
  for (const [part, original] of Object.entries(given))
    for (let place = 0; place < original.length; place += 1) {
      const changed = original.slice();
      changed[place] ^= 1;
      const all = { ...given, [part]: changed };
      codes[part].push(await code(() => receiver.unprotect(all.frame, all.metadata)));
    }
  for (let end = 0; end < given.frame.length; end += 1)
    codes.short.push(await code(() => receiver.unprotect(given.frame.subarray(0, end), given.metadata)));
  const opened = await receiver.unprotect(given.frame, given.metadata);
  return { codes, frame: hex(opened.frame) };
};

/** Counters that a receiver takes, of frames that come in this order; a comma-separated line of `counter` or `counter:code`. */
export const order = async ({ window, counters, atOnce, ...one }) => {
  const key = await keyOf(one);
  const receiver = new sframe.FrameReceiver({ window });
  receiver.set(key);
  const take = async (counter) => {
    const octets = await new sframe.FrameSender(key, BigInt(counter)).protect(new Uint8Array(3));
    return octets;
  };
  const frames = await Promise.all(counters.map(take));
  const open = async (octets, place) => (await code(() => receiver.unprotect(octets))) ?? counters[place];
  if (atOnce) return Promise.all(frames.map(open));
  const results = [];
  for (const [place, octets] of frames.entries()) results.push(await open(octets, place));
  return results;
};

Object.assign(window, { sframe });
