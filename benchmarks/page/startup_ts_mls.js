/** ts-mls: loads it and makes a KeyPackage; bundled before it is served. `window.startup` as in `startup.js`. */
import {
  defaultCapabilities,
  defaultLifetime,
  generateKeyPackage,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
} from "../../tests/interop/node_modules/ts-mls/dist/src/index.js";
import { watchThread } from "./thread.js";

async function start() {
  const blocked = watchThread();
  const suite = await getCiphersuiteImpl(getCiphersuiteFromName("MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519"));
  const loaded = performance.now();
  const credential = { credentialType: "basic", identity: new TextEncoder().encode("visitor@a.example") };
  await generateKeyPackage(credential, defaultCapabilities(), defaultLifetime, [], suite);
  const made = performance.now();
  return { loaded, usable: made, made, startedFrom: "files", ...blocked() };
}

window.settled = Promise.resolve();
window.startup = start();
