/** One tab of a browser at a time is in a call under a name: two would take the place of each other. */

/** How long an earlier page may take to let go of it, as at a reload, in milliseconds. */
const PATIENCE = 4_000;

/**
 * Keep other tabs of this browser from going into a call under an address, as long as this page is there.
 *
 * @param {string} identity
 * @returns {Promise<() => void>} gives it back
 * @throws {Error} another tab has it
 */
export function holdName(identity) {
  return new Promise((resolve, reject) => {
    const taken = () => {
      reject(Object.assign(new Error(`${identity} is in a call in another tab of this browser. Go on there, or choose another name.`), { code: "open-elsewhere" }));
    };
    navigator.locks
      .request(`mls-federation:call:${identity}`, { signal: AbortSignal.timeout(PATIENCE) }, () => new Promise((release) => resolve(() => release(undefined))))
      .catch(taken);
  });
}
