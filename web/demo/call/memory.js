/** What a tab remembers of its call, so that it goes on after a reload. */

/** @typedef {{ account: string, room: string, source: "camera" | "test", audio: boolean, video: boolean }} Remembered */

const NAME = "mls-federation:call";

/** @param {Remembered} what */
export function remember(what) {
  sessionStorage.setItem(NAME, JSON.stringify(what));
}

export function forget() {
  sessionStorage.removeItem(NAME);
}

/** @returns {Remembered | undefined} */
export function remembered() {
  const kept = sessionStorage.getItem(NAME);
  return kept === null ? undefined : JSON.parse(kept);
}
