/**
 * Two clients of one engine, in a page that is embedded in some way: how comes with the address, and what came of it is shown.
 * It does by itself whatever it does, since a policy may forbid a test to run anything in it.
 */
const given = new URLSearchParams(location.search);
const options = Object.fromEntries(
  ["base", "pyodide", "crypto"].flatMap((name) => (given.has(name) ? [[name, given.get(name)]] : [])),
);

/** @param {EventTarget} target */
const next = (target, name) => new Promise((resolve) => target.addEventListener(name, ({ detail }) => resolve(detail), { once: true }));

async function talk({ MLSFederation }) {
  // One that is made when the page is gone would ask for files in the next test.
  const mls = await MLSFederation.load({ ...options, snapshot: false });
  for (const domain of ["a.example", "b.example"]) {
    const url = given.get(domain);
    if (url !== null) await mls.setDeliveryService(domain, url);
  }
  if (!given.has("name")) return { crypto: mls.crypto };
  const alice = await mls.createClient({ identity: `${given.get("name")}@a.example` });
  const bob = await mls.createClient({ identity: `${given.get("name")}@b.example` });
  const [first, second] = [await alice.createGroup(), await alice.createGroup()];
  const heard = [];
  for (const group of [first, second]) {
    const joined = next(bob, "group");
    await group.add(bob.identity);
    const { group: bobs } = await joined;
    const message = next(bobs, "message");
    await group.send(`hello ${heard.length}`);
    heard.push((await message).text);
  }
  return { crypto: mls.crypto, heard, isolated: crossOriginIsolated };
}

let result;
try {
  result = await talk(await import(given.get("module") ?? "/mls-federation/index.js"));
} catch ({ name, code, message, details }) {
  result = { name, code, message, details };
}
document.getElementById("result").textContent = JSON.stringify(result);
