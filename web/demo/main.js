/**
 * The page of the first call: load, make keys, fetch the other person's, be in a group.
 *
 * @import { Client, Group, MLSError } from "../src/index.js"
 * @import { Fanout, Progress } from "../src/protocol.js"
 */
import { MLSFederation } from "mls-federation";
import { renderBundle } from "./bundle.js";
import { domainOf, fetchDirectory, setServices } from "./directory.js";
import { byId, during, element, grouped, hex, sentence, showProblem } from "./dom.js";
import { GroupView } from "./group-view.js";

const STAGE_NAMES = {
  runtime: "Loading the WebAssembly runtime",
  python: "Starting Python",
  packages: "Installing the MLS client",
  ready: "Ready",
};
const CONNECTION_NAMES = {
  connecting: "Connecting…",
  connected: "Connected",
  disconnected: "Connection lost; trying again",
};
const CRYPTO_NAMES = {
  pyca: "the Python package cryptography (pyca)",
  webjs: "libsodium and noble, in JavaScript and WebAssembly (webjs)",
};
const given = new URLSearchParams(location.search);

/** @param {number} octets */
const megabytes = (octets) => (octets / 1e6).toFixed(1);

/** @param {Progress} progress */
function showProgress({ stage, received, total }) {
  const stages = [...byId("stages", HTMLOListElement).children];
  const now = stages.findIndex((item) => /** @type {HTMLElement} */ (item).dataset.stage === stage);
  stages.forEach((item, index) => {
    item.classList.toggle("done", index < now || stage === "ready");
    item.classList.toggle("now", index === now);
  });
  const bar = byId("progress", HTMLProgressElement);
  bar.max = total;
  bar.value = received;
  bar.setAttribute("aria-valuetext", `${megabytes(received)} of ${megabytes(total)} megabytes`);
  const line = byId("progress-stage", HTMLElement);
  if (line.textContent !== STAGE_NAMES[stage]) line.textContent = STAGE_NAMES[stage];
  byId("progress-bytes", HTMLElement).textContent = `${megabytes(received)} of ${megabytes(total)} MB`;
}

/**
 * The addresses of the delivery services, each of which can be changed.
 *
 * @param {MLSFederation} mls
 * @param {Record<string, string>} directory
 */
function renderDirectory(mls, directory) {
  const forms = Object.entries(directory).map(([domain, url]) => {
    const problem = element("p", { id: `service-error-${domain}`, class: "problem", role: "alert", hidden: true });
    const input = element("input", { id: `service-url-${domain}`, type: "url", value: url, spellcheck: "false" });
    input.setAttribute("aria-describedby", problem.id);
    const button = element("button", { type: "submit", "data-testid": `set-service-${domain}` }, "Set");
    const done = element("span", { class: "quiet", role: "status", "data-testid": `service-status-${domain}` });
    const label = element("label", { class: "field wide", for: input.id }, element("span", {}, domain), input);
    const form = element("form", { novalidate: true }, element("div", { class: "fields" }, label, button), done, problem);
    form.onsubmit = (event) => {
      event.preventDefault();
      done.textContent = "";
      void during(button, problem, async () => {
        const service = await mls.setDeliveryService(domain, input.value.trim());
        directory[domain] = service.url;
        done.textContent = `It answers for ${service.domain}, and speaks version ${service.versions.join(", ")}.`;
      });
    };
    return form;
  });
  byId("services", HTMLElement).replaceChildren(...forms);
}

/**
 * @param {string} domain
 * @param {unknown} error
 */
function showServiceProblem(domain, error) {
  showProblem(byId(`service-error-${domain}`, HTMLElement), error);
}

/** @param {Record<string, string>} directory */
function fillServices(directory) {
  const select = byId("service", HTMLSelectElement);
  const wanted = given.get("service");
  select.replaceChildren(
    ...Object.keys(directory).map((domain) => element("option", { selected: domain === wanted }, domain)),
  );
  // Whoever types while the client loads keeps what they typed.
  const name = byId("name", HTMLInputElement);
  name.value ||= given.get("name") ?? "";
}

/**
 * @param {MLSFederation} mls
 * @param {Record<string, string>} directory
 */
function wireIdentity(mls, directory) {
  const button = byId("identity-create", HTMLButtonElement);
  const problem = byId("identity-error", HTMLElement);
  const form = byId("identity-form", HTMLFormElement);
  button.disabled = false;
  form.onsubmit = (event) => {
    event.preventDefault();
    void during(button, problem, async () => {
      const name = byId("name", HTMLInputElement).value.trim();
      const domain = byId("service", HTMLSelectElement).value;
      if (name === "") throw new Error("Type a name first.");
      await setServices(mls, directory, domain, showServiceProblem);
      const kept = (await mls.accounts()).find((one) => one.identity === `${name}@${domain}` && !one.exported);
      const client = kept
        ? await mls.openClient(kept.account)
        : await mls.createClient({ identity: `${name}@${domain}`, fanout: /** @type {Fanout} */ (chosen("fanout")) });
      await goOn(client, directory);
    });
  };
}

/**
 * @param {Client} client
 * @param {Record<string, string>} directory
 */
async function goOn(client, directory) {
  byId("identity-form", HTMLFormElement).hidden = true;
  byId("kept", HTMLElement).hidden = true;
  showIdentity(client, directory[domainOf(client.identity)] ?? "");
  wireFanout(client);
  // What came while nobody was here is told now: nothing may be waited for before somebody listens.
  meet(client);
  if (!client.registered) await client.register();
}

/**
 * Who was here before, in this or another tab, can go on.
 *
 * @param {MLSFederation} mls
 * @param {Record<string, string>} directory
 */
async function renderKept(mls, directory) {
  const kept = (await mls.accounts()).filter(({ exported }) => !exported);
  const problem = byId("kept-error", HTMLElement);
  const rows = kept.map(({ account, identity }) => {
    const open = element("button", { type: "button", "data-testid": "go-on" }, `Go on as ${identity}`);
    open.onclick = () =>
      during(open, problem, async () => {
        await setServices(mls, directory, domainOf(identity), showServiceProblem);
        await goOn(await mls.openClient(account), directory);
      });
    const forget = element("button", { type: "button", "aria-label": `Forget ${identity}` }, "Forget");
    forget.onclick = () =>
      during(forget, problem, async () => {
        await mls.deleteAccount(account);
        await renderKept(mls, directory);
      });
    return element("li", { class: "row between", "data-identity": identity }, open, forget);
  });
  byId("kept-list", HTMLElement).replaceChildren(...rows);
  byId("kept", HTMLElement).hidden = kept.length === 0 || byId("identity-form", HTMLFormElement).hidden;
}

/**
 * The value of the radio button that is chosen.
 *
 * @param {string} name
 */
function chosen(name) {
  return /** @type {HTMLInputElement} */ (document.querySelector(`input[name="${name}"]:checked`)).value;
}

/**
 * From now on the choice is that of a client that is there, and can be changed at any time.
 *
 * @param {Client} client
 */
function wireFanout(client) {
  const problem = byId("fanout-error", HTMLElement);
  byId("fanout", HTMLFieldSetElement).onchange = async () => {
    try {
      await client.setFanout(/** @type {Fanout} */ (chosen("fanout")));
      showProblem(problem);
    } catch (error) {
      showProblem(problem, error);
    }
  };
}

/**
 * @param {Client} client
 * @param {string} url
 */
function showIdentity(client, url) {
  byId("identity", HTMLElement).textContent = client.identity;
  byId("identity-service", HTMLElement).textContent = url;
  byId("fingerprint", HTMLElement).textContent = grouped(client.fingerprint);
  byId("identity-card", HTMLElement).hidden = false;
  document.title = `${client.identity} · First call`;
}

/** @param {Client} client */
function meet(client) {
  const connection = byId("connection", HTMLElement);
  client.addEventListener("connection", (event) => {
    const state = /** @type {CustomEvent<{ state: keyof typeof CONNECTION_NAMES }>} */ (event).detail.state;
    connection.dataset.state = state;
    connection.textContent = CONNECTION_NAMES[state];
  });
  client.addEventListener("error", (event) => {
    const error = /** @type {CustomEvent<MLSError>} */ (event).detail;
    byId("problems-card", HTMLElement).hidden = false;
    const problems = byId("problems", HTMLOListElement);
    // A service that stays away fails again and again in the same words.
    if (problems.lastElementChild?.textContent === sentence(error)) return;
    const { groupId, held } = error.details;
    // What came too early is tried again; once its group has come further, there is nothing to tell any more.
    const early = held === true && groupId instanceof Uint8Array ? hex(groupId) : false;
    problems.append(element("li", { "data-code": error.code, "data-early": early }, sentence(error)));
  });

  client.addEventListener("epoch", (event) => forgetEarly(/** @type {CustomEvent} */ (event).detail.group));

  const peer = byId("peer", HTMLInputElement);
  const bundles = byId("bundles", HTMLElement);
  const view = new GroupView(client, () => {
    for (const button of bundles.querySelectorAll("button")) button.textContent = inviteText();
    byId("ordering", HTMLFieldSetElement).hidden = view.current !== undefined;
  });
  const inviteText = () => (view.current ? "Add to the group" : "Start a group");
  client.addEventListener("group", (event) => {
    const { group, details } = /** @type {CustomEvent} */ (event).detail;
    forgetEarly(group);
    view.show(group, details, `You were added at epoch ${details.epoch}.`);
  });

  for (const group of client.groups) {
    view.reopen(group).catch((error) => showProblem(byId("peer-error", HTMLElement), error));
  }

  byId("them", HTMLElement).hidden = false;
  byId("peer-form", HTMLFormElement).onsubmit = (event) => {
    event.preventDefault();
    void during(byId("fetch", HTMLButtonElement), byId("peer-error", HTMLElement), async () => {
      bundles.replaceChildren();
      const identity = peer.value.trim();
      const fetched = await client.fetchKeyBundles(identity);
      bundles.replaceChildren(
        ...fetched.map((bundle) => {
          const button = element("button", { class: "primary", type: "button", "data-testid": "invite" }, inviteText());
          button.onclick = () =>
            during(button, byId("peer-error", HTMLElement), async () => {
              if (view.current === undefined) {
                const ordering = /** @type {"service" | "members"} */ (chosen("ordering"));
                const group = await client.createGroup({ ordering });
                view.show(group, await group.details(), "You started the group.");
              }
              await view.add(identity);
              bundles.replaceChildren();
              peer.value = "";
              byId("message", HTMLInputElement).focus();
            });
          return renderBundle(bundle, button);
        }),
      );
    });
  };
  peer.focus();
}

/** @param {Group} group */
function forgetEarly(group) {
  const problems = byId("problems", HTMLOListElement);
  for (const early of problems.querySelectorAll(`[data-early="${hex(group.id)}"]`)) early.remove();
  byId("problems-card", HTMLElement).hidden = problems.children.length === 0;
}

/** @param {Record<string, string>} directory */
function suggestSecondTab(directory) {
  const domains = Object.keys(directory);
  const own = given.get("service") ?? domains[0];
  const other = domains.find((domain) => domain !== own);
  if (other !== undefined) {
    byId("second-tab", HTMLAnchorElement).search = new URLSearchParams({ service: other }).toString();
  }
}

async function main() {
  const started = performance.now();
  try {
    const [mls, directory] = await Promise.all([
      MLSFederation.load({ onprogress: showProgress }),
      fetchDirectory().then((directory) => (fillServices(directory), directory)),
    ]);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    byId("loading", HTMLElement).classList.add("finished");
    byId("loading-text", HTMLElement).textContent = `Runs in this tab; your keys never leave this browser. Started in ${seconds} s.`;
    byId("crypto", HTMLElement).textContent = `Cryptography: ${CRYPTO_NAMES[mls.crypto]}.`;
    byId("crypto", HTMLElement).hidden = false;
    mls.addEventListener("error", (event) => {
      const error = /** @type {CustomEvent} */ (event).detail;
      if (error.code === "suspended") location.reload();
      else showProblem(byId("loading-error", HTMLElement), error);
    });
    suggestSecondTab(directory);
    renderDirectory(mls, directory);
    wireIdentity(mls, directory);
    await renderKept(mls, directory).catch((error) => showProblem(byId("kept-error", HTMLElement), error));
    byId("name", HTMLInputElement).focus();
  } catch (error) {
    showProblem(byId("loading-error", HTMLElement), error);
  }
}

await main();
