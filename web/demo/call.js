/**
 * The page of a conference call: a room by a link, tiles, and what keeps it secret.
 *
 * @import { Client, Group } from "../src/index.js"
 * @import { Link } from "./call/link.js"
 * @import { Source } from "./call/local-media.js"
 * @import { Remembered } from "./call/memory.js"
 * @import { Ending } from "./call/room.js"
 */
import { MLSFederation } from "mls-federation";
import { Knock } from "./call/doorbell.js";
import { linkTo, readLink, wireCopy } from "./call/link.js";
import { Lobby } from "./call/lobby.js";
import { LocalMedia } from "./call/local-media.js";
import { forget, remember, remembered } from "./call/memory.js";
import { holdName } from "./call/name-lock.js";
import { explained, whyEnded } from "./call/problems.js";
import { Room } from "./call/room.js";
import { domainOf, fetchDirectory, setServices } from "./directory.js";
import { byId, during, hex, showProblem } from "./dom.js";

const CONNECTION_NAMES = {
  connecting: "Connecting…",
  connected: "Connected",
  disconnected: "Connection lost; trying again",
};

/** @typedef {"lobby" | "waiting" | "room" | "ended"} Scene */

/** What is there once somebody has come in. @typedef {{ client: Client, account: string | undefined, source: Source, link: Link | undefined }} Stay */

const link = readLink(location.hash);
/** @type {MLSFederation} */
let mls;
/** @type {Record<string, string>} */
let directory = {};
/** Domains whose delivery services did not answer when the page was loaded. @type {Set<string>} */
const unreached = new Set();
/** @type {Knock | undefined} */
let knock;

const lobby = new Lobby(link, async ({ name, domain, media }) => {
  await comeIn(`${name}@${domain}`, media);
});

/**
 * One part of the page is shown at a time. The focus goes to where the person goes on.
 *
 * @param {Scene} scene
 * @param {string} [focus] id of what has it
 */
function show(scene, focus) {
  for (const one of ["lobby", "waiting", "room", "ended"]) byId(one, HTMLElement).hidden = one !== scene;
  document.body.dataset.scene = scene;
  if (focus !== undefined) byId(focus, HTMLElement).focus({ focusVisible: true });
}

/**
 * Open the client of an address, or make it, and go where the link leads.
 *
 * @param {string} identity
 * @param {LocalMedia} media
 */
async function comeIn(identity, media) {
  const release = await holdName(identity);
  /** @type {Client | undefined} */
  let client;
  try {
    await setServices(mls, directory, domainOf(identity), showServiceProblem);
    const kept = (await mls.accounts()).find((one) => one.identity === identity && !one.exported);
    client = kept ? await mls.openClient(kept.account) : await mls.createClient({ identity });
    if (!client.registered) await client.register();
    await goOn({ client, account: client.account, source: media.source, link }, media);
  } catch (error) {
    // The next try opens it anew.
    await client?.close();
    release();
    throw error;
  }
}

/**
 * @param {string} domain
 * @param {unknown} error
 */
function showServiceProblem(domain, error) {
  unreached.add(domain);
  const place = byId("service-problem", HTMLElement);
  place.hidden = false;
  place.textContent = `The delivery service of ${domain} does not answer now; nobody of it can be let in before it does. ${error instanceof Error ? error.message : ""}`;
}

/**
 * Ask a delivery service that did not answer before, since somebody of its domain is to be reached now.
 *
 * @param {string} identity
 */
async function reach(identity) {
  const domain = domainOf(identity);
  const url = directory[domain];
  if (!unreached.has(domain) || url === undefined) return;
  await mls.setDeliveryService(domain, url);
  unreached.delete(domain);
}

/**
 * @param {Stay} stay
 * @param {LocalMedia} media
 */
async function goOn(stay, media) {
  const { client } = stay;
  client.addEventListener("connection", (event) => {
    const state = /** @type {CustomEvent<{ state: keyof typeof CONNECTION_NAMES }>} */ (event).detail.state;
    const chip = byId("connection", HTMLElement);
    chip.dataset.state = state;
    chip.textContent = CONNECTION_NAMES[state];
  });
  document.title = `${client.identity} · Conference`;
  const group = stay.link && client.groups.find(({ id }) => hex(id) === stay.link?.room);
  if (stay.link === undefined) {
    const made = await client.createGroup();
    const begun = { room: hex(made.id), host: client.identity };
    // The address of the page is that of the room from now on, also after a reload.
    history.replaceState(null, "", linkTo(begun));
    await enter({ ...stay, link: begun }, made, media);
  } else if (group !== undefined) {
    await enter(stay, group, media);
  } else if (stay.link.host === client.identity) {
    throw new Error("You are not a member of this room any more, or it was made in another browser. Open the page without the link to start another one.");
  } else {
    await wait(stay, stay.link, media);
  }
}

/**
 * Wait at the door until the host lets us in.
 *
 * @param {Stay} stay
 * @param {Link} at
 * @param {LocalMedia} media
 */
async function wait(stay, at, media) {
  const { client } = stay;
  keepInMind(stay, media);
  byId("own-address", HTMLInputElement).value = client.identity;
  byId("waiting-host", HTMLElement).textContent = at.host;
  wireCopy(byId("copy-address", HTMLButtonElement), byId("own-address", HTMLInputElement), byId("copied-address", HTMLElement));
  knock?.stop();
  knock = new Knock(at.room, client.identity);
  const letIn = async (/** @type {Event} */ event) => {
    const { group } = /** @type {CustomEvent<{ group: Group }>} */ (event).detail;
    if (hex(group.id) !== at.room) return;
    client.removeEventListener("group", letIn);
    knock?.stop();
    knock = undefined;
    await enter(stay, group, media);
  };
  client.addEventListener("group", letIn);
  byId("give-up", HTMLButtonElement).onclick = () => {
    media.close();
    forget();
    // All that waits is gone with the page.
    location.reload();
  };
  show("waiting", "copy-address");
}

/**
 * @param {Stay} stay
 * @param {Group} group
 * @param {LocalMedia} media
 */
async function enter(stay, group, media) {
  const at = /** @type {Link} */ (stay.link);
  showProblem(byId("call-error", HTMLElement));
  const room = new Room({
    mls,
    client: stay.client,
    group,
    link: at,
    media,
    onended: (ending) => end(stay, ending),
    onswitch: () => keepInMind(stay, media),
    reach,
  });
  keepInMind(stay, media);
  show("room", "microphone");
  await room.join();
}

/**
 * @param {Stay} stay
 * @param {Ending} ending
 */
function end(stay, ending) {
  const { reason, error } = ending;
  const removed = reason === "removed";
  if (removed || reason === "left") forget();
  const place = byId("ended-text", HTMLElement);
  place.textContent = whyEnded(reason, error);
  place.className = reason === "left" ? "" : "problem";
  place.dataset.code = reason === "failed" && error instanceof Error && "code" in error ? String(error.code) : reason;
  byId("ended-title", HTMLElement).textContent = removed ? "You were removed" : reason === "left" ? "You have left" : "The call has ended";
  showProblem(byId("ended-error", HTMLElement));
  const again = byId("again", HTMLButtonElement);
  again.textContent = removed ? "Ask to be let in again" : "Join again";
  again.onclick = () => during(again, byId("ended-error", HTMLElement), () => comeBack(stay, removed));
  show("ended", "again");
}

/**
 * @param {Stay} stay
 * @param {boolean} removed
 */
async function comeBack(stay, removed) {
  const at = /** @type {Link} */ (stay.link);
  const media = new LocalMedia(stay.source, () => nameOf(stay.client));
  try {
    await media.open();
    const group = stay.client.groups.find(({ id }) => hex(id) === at.room);
    if (group !== undefined) await enter(stay, group, media);
    else if (removed) await wait(stay, at, media);
    else throw new Error("You are not a member of this room any more.");
  } catch (error) {
    media.close();
    throw explained(error);
  }
}

/** @param {Client} client */
const nameOf = ({ identity }) => identity.slice(0, identity.lastIndexOf("@"));

/**
 * @param {Stay} stay
 * @param {LocalMedia} media
 */
function keepInMind({ account, source, link: at }, media) {
  if (account === undefined || at === undefined) return;
  remember({ account, room: at.room, source, audio: media.track("audio") !== null, video: media.track("video") !== null });
}

/**
 * Go on where this tab was before it was loaded again.
 *
 * @param {Remembered} before
 */
async function goBack({ account, source, audio, video }) {
  const kept = (await mls.accounts()).find((one) => one.account === account);
  if (kept === undefined) return forget();
  byId("lobby-text", HTMLElement).textContent = `You were here as ${kept.identity}. You are being brought back.`;
  byId("name", HTMLInputElement).value = kept.identity.slice(0, kept.identity.lastIndexOf("@"));
  byId("service", HTMLSelectElement).value = domainOf(kept.identity);
  const radio = document.querySelector(`input[name="source"][value="${source}"]`);
  if (radio instanceof HTMLInputElement) radio.checked = true;
  await lobby.run(async () => {
    const media = new LocalMedia(source, () => byId("name", HTMLInputElement).value);
    if (audio) await media.turnOn("audio");
    if (video) await media.turnOn("video");
    await comeIn(kept.identity, media);
  });
}

async function main() {
  // Another link in this tab is another room; and a page that a browser had put away has no connections any more.
  addEventListener("hashchange", () => location.reload());
  addEventListener("pageshow", (event) => /** @type {PageTransitionEvent} */ (event).persisted && location.reload());
  try {
    const [loaded] = await Promise.all([
      MLSFederation.load({ onprogress: (progress) => lobby.showProgress(progress) }),
      fetchDirectory().then((found) => {
        directory = found;
        lobby.setServices(Object.keys(found));
      }),
    ]);
    mls = loaded;
    mls.addEventListener("error", (event) => {
      const { detail } = /** @type {CustomEvent} */ (event);
      for (const place of ["lobby-error", "call-error"]) showProblem(byId(place, HTMLElement), explained(detail));
    });
    const kept = (await mls.accounts()).filter(({ exported }) => !exported);
    lobby.setKept([...new Set(kept.map(({ identity }) => identity))]);
    lobby.enable();
    const before = remembered();
    if (before !== undefined && before.room === link?.room) await goBack(before);
  } catch (error) {
    lobby.fail(error);
  }
}

await main();
