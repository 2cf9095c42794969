/**
 * Where the state of `mls.js` is kept: one account of the store, that all tabs of the origin have in common. For Python.
 *
 * @import { Part, Place } from "./store.js"
 */
import { forPython as store } from "./store.js";

// No client has this name: those are addresses, `name@domain`.
const ACCOUNT = "mls";
const LOCK = "mls-federation: MLS state";

/**
 * Wait until no other tab is between reading the state and writing it.
 *
 * @returns {Promise<() => void>} ends the turn; a worker that ends, ends its turn too
 */
export const turn = () =>
  new Promise((granted, refused) => {
    navigator.locks.request(LOCK, () => new Promise((release) => granted(() => release(undefined)))).catch(refused);
  });

export const read = () => store.read(ACCOUNT);

/**
 * @param {Part[]} writes
 * @param {Place[]} deletes
 */
export const write = (writes, deletes) => store.write(ACCOUNT, writes, deletes, { holds: "the state of MLS objects" });

export const erase = () => store.remove(ACCOUNT);
