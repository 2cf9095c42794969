/** Loads the client and makes the first useful call. `window.startup` has the times since navigation, in milliseconds. */
import { MLSFederation } from "/mls-federation/index.js";

async function start() {
  const mls = await MLSFederation.load();
  const loaded = performance.now();
  const { domains } = await (await fetch("/federation.json")).json();
  await mls.setDeliveryService("a.example", domains["a.example"]);
  const usable = performance.now();
  const name = new URLSearchParams(location.search).get("name");
  await mls.createClient({ identity: `${name}@a.example` });
  return { loaded, usable, registered: performance.now() };
}

window.startup = start();
