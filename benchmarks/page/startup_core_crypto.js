/** Wire's core-crypto: loads it and makes a KeyPackage. It runs on the page's own thread. `window.startup` as in `startup.js`. */
import { watchThread } from "./thread.js";

async function start() {
  const blocked = watchThread();
  const folder = new URL(`${new URLSearchParams(location.search).get("module")}`, location.href);
  const { CipherSuite, ClientId, CoreCrypto, Credential, Database, DeviceId, Uuid, initWasmModule } = await import(
    new URL("corecrypto.js", folder).href
  );
  await initWasmModule(new URL("index_bg.wasm", folder).href);
  const client = CoreCrypto.new(await Database.inMemory());
  const loaded = performance.now();
  const id = new ClientId(new Uuid(crypto.randomUUID()), new DeviceId(1n), "a.example");
  await client.transaction(async (context) => {
    await context.mlsInit(id, { sendCommitBundle: async () => {}, prepareForTransport: async () => new Uint8Array() });
    const credential = Credential.basic(CipherSuite.Mls128Dhkemx25519Aes128gcmSha256Ed25519, id);
    await context.generateKeyPackage(await context.addCredential(credential));
  });
  const made = performance.now();
  return { loaded, usable: made, made, startedFrom: "files", ...blocked() };
}

window.settled = Promise.resolve();
window.startup = start();
