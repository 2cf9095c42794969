/**
 * Loads the client and makes the first useful call. `window.startup` has the times since navigation, in milliseconds, and
 * `window.settled` is done when the next visit can have all that this one prepares for it.
 */
import { watchThread } from "./thread.js";

const given = new URLSearchParams(location.search);
const blocked = watchThread();
// Another release may be measured: it is imported from where it is served.
const imported = import(given.get("module") ?? "/mls-federation/index.js");

async function load() {
  const { MLSFederation } = await imported;
  const mls = await MLSFederation.load({ crypto: "webjs", snapshot: given.get("snapshot") !== "off" });
  return { mls, loaded: performance.now() };
}

async function start() {
  const { mls, loaded } = await loading;
  const { domains } = await (await fetch("/federation.json")).json();
  await mls.setDeliveryService("a.example", domains["a.example"]);
  const usable = performance.now();
  const keyPackages = mls.createClient({ identity: `${given.get("name")}@a.example` });
  await keyPackages;
  return { loaded, usable, made: performance.now(), startedFrom: mls.startedFrom ?? "files", ...blocked() };
}

async function settle() {
  const { mls } = await loading;
  if (mls.startedFrom !== "files" || given.get("snapshot") === "off") return;
  await new Promise((resolve) => mls.addEventListener("snapshot", resolve, { once: true }));
}

const loading = load();
window.settled = settle();
window.startup = start();
