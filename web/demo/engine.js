/** The client, loaded once for a page that shows how far it is in a chip. */
import { MLSFederation } from "mls-federation";
import { byId } from "./dom.js";
import { showProgress } from "./vectors-card.js";

/** @type {Promise<MLSFederation> | undefined} */
let loading;

/** Load the client once; after a failure, the next attempt loads it anew. */
export async function engine() {
  const chip = byId("engine", HTMLElement);
  if (loading === undefined) {
    chip.dataset.state = "connecting";
    chip.textContent = "Loading the client…";
    loading = MLSFederation.load({ onprogress: ({ received, total }) => showProgress(received, total) });
  }
  try {
    const mls = await loading;
    chip.dataset.state = "connected";
    chip.textContent = "Client loaded";
    return mls;
  } catch (error) {
    loading = undefined;
    chip.dataset.state = "disconnected";
    chip.textContent = "Not loaded";
    throw error;
  }
}
