import { MLSError, MLSFederation } from "mls-federation";

// Two people in one page, for an example; `npm run assets` has copied what the worker loads to public/mls-federation.
const services = {
  "a.example": import.meta.env.VITE_SERVICE_A ?? "http://127.0.0.1:8101",
  "b.example": import.meta.env.VITE_SERVICE_B ?? "http://127.0.0.1:8102",
};
const state = document.getElementById("state");

try {
  const mls = await MLSFederation.load({
    base: `${import.meta.env.BASE_URL}mls-federation/`,
    onprogress: ({ stage }) => (state.textContent = `Loading: ${stage}…`),
  });
  for (const [domain, url] of Object.entries(services)) await mls.setDeliveryService(domain, url);
  const number = crypto.randomUUID().slice(0, 8);
  const alice = await mls.createClient({ identity: `alice-${number}@a.example` });
  const bob = await mls.createClient({ identity: `bob-${number}@b.example` });
  bob.addEventListener("message", ({ detail }) => {
    const line = document.createElement("li");
    line.textContent = `${detail.sender}: ${detail.text}`;
    document.getElementById("messages").append(line);
  });
  const group = await alice.createGroup();
  await group.add(bob.identity);
  await group.send("Hello from a bundle");
  state.textContent = `Ready; cryptography is ${mls.crypto}.`;
} catch (error) {
  state.textContent = error instanceof MLSError ? error.message : `Failed: ${error}`;
}
