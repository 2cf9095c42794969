import { MLSFederation } from "./mls-federation/index.js";

// Where the delivery service of each domain is. The policy in index.html must allow these addresses too.
const SERVICES = { "a.example": "http://127.0.0.1:8101", "b.example": "http://127.0.0.1:8102" };

const byId = (id) => document.getElementById(id);
const show = (line) => byId("messages").append(Object.assign(document.createElement("li"), { textContent: line }));
const tell = (text, failed = false) => {
  byId("state").textContent = text;
  byId("state").toggleAttribute("data-failed", failed);
};

/** Do something with what a form has; an MLSError says in words what went wrong. */
const onSubmit = (id, action) =>
  (byId(id).onsubmit = async (event) => {
    event.preventDefault();
    await action(event.target.elements).catch((error) => tell(error.message, true));
  });

function join(group) {
  tell("You are in a group. What you say is encrypted for its members alone.");
  byId("invite").hidden = true;
  byId("say").hidden = false;
  group.addEventListener("message", ({ detail }) => show(`${detail.sender}: ${detail.text}`));
  onSubmit("say", async ({ text }) => {
    await group.send(text.value);
    show(`You: ${text.value}`);
    text.value = "";
  });
}

try {
  const mls = await MLSFederation.load({ onprogress: ({ stage }) => tell(`Loading: ${stage}…`) });
  for (const [domain, url] of Object.entries(SERVICES)) await mls.setDeliveryService(domain, url);
  tell("Ready.");
  byId("sign-up").hidden = false;
  onSubmit("sign-up", async ({ identity }) => {
    const client = await mls.createClient({ identity: identity.value });
    tell(`You are ${client.identity}. Start a group, or wait until somebody adds you.`);
    byId("sign-up").hidden = true;
    byId("invite").hidden = false;
    client.addEventListener("group", ({ detail }) => join(detail.group));
    onSubmit("invite", async ({ identity: peer }) => {
      const group = await client.createGroup();
      await group.add(peer.value);
      join(group);
    });
  });
} catch (error) {
  tell(error.message, true);
}
