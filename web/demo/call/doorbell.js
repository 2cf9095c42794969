/**
 * Tabs of one browser tell each other who waits at a room's door. It is a convenience: it decides nothing, and reaches nobody
 * in another browser. Whoever is let in is authenticated by the keys of the address that the host adds.
 */

/** @typedef {{ room: string, knock: string } | { room: string, gone: string } | { room: string, open: true }} Said */

const NAME = "mls-federation:call-door";

/** The side of who waits. */
export class Knock {
  #channel = new BroadcastChannel(NAME);
  #said;
  #away;

  /**
   * @param {string} room
   * @param {string} identity an address
   */
  constructor(room, identity) {
    this.#said = { room, knock: identity };
    this.#away = { room, gone: identity };
    this.#channel.onmessage = ({ data }) => {
      // A host who comes later hears of who waits already.
      if (data.room === room && data.open) this.#channel.postMessage(this.#said);
    };
    this.#channel.postMessage(this.#said);
    addEventListener("pagehide", this.stop);
  }

  /** Go away from the door. */
  stop = () => {
    removeEventListener("pagehide", this.stop);
    this.#channel.postMessage(this.#away);
    this.#channel.close();
  };
}

/** The side of the host. */
export class Door {
  #channel = new BroadcastChannel(NAME);

  /**
   * @param {string} room
   * @param {(waiting: string[]) => void} onchange told who waits
   */
  constructor(room, onchange) {
    /** @type {Set<string>} */
    const waiting = new Set();
    this.#channel.onmessage = ({ data }) => {
      if (data.room !== room) return;
      if (typeof data.knock === "string") waiting.add(data.knock);
      else if (typeof data.gone === "string") waiting.delete(data.gone);
      else return;
      onchange([...waiting]);
    };
    this.#channel.postMessage({ room, open: true });
  }

  /** Listen no more. */
  close() {
    this.#channel.close();
  }
}
