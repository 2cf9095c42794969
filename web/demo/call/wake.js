/** Notices that the tab was suspended, by the browser or with the whole machine: its connections are gone then. */

const INTERVAL = 5_000;
/** Timers of a covered tab come late, up to a minute; what is longer was sleep. */
const SLEEP = 90_000;

/**
 * @param {() => void} onwake
 * @returns {() => void} stops watching
 */
export function watchForSleep(onwake) {
  let last = Date.now();
  const timer = setInterval(() => {
    const slept = Date.now() - last > SLEEP;
    last = Date.now();
    if (slept) onwake();
  }, INTERVAL);
  document.addEventListener("resume", onwake);
  return () => {
    clearInterval(timer);
    document.removeEventListener("resume", onwake);
  };
}
