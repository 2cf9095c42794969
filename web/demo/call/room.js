/**
 * A call in a room, on the page.
 *
 * @import { CallStatistics, MediaKind, Participant, SendingKey } from "../../src/call-types.js"
 * @import { Client, Group, MLSFederation } from "../../src/index.js"
 * @import { GroupDetails } from "../../src/protocol.js"
 * @import { Link } from "./link.js"
 * @import { LocalMedia } from "./local-media.js"
 */
import { Call } from "/mls-federation/call.js";
import { changes } from "../changes.js";
import { byId, during, showProblem } from "../dom.js";
import { Chat } from "./chat.js";
import { Door } from "./doorbell.js";
import { icon } from "./icons.js";
import { Insight } from "./insight.js";
import { linkTo, wireCopy } from "./link.js";
import { People } from "./people.js";
import { explained } from "./problems.js";
import { safetyRows } from "./safety-number.js";
import { Tiles, standing } from "./tiles.js";
import { watchForSleep } from "./wake.js";

/** @type {Readonly<Record<MediaKind, { button: string, on: readonly [string, string], off: readonly [string, string] }>>} */
const SWITCHES = Object.freeze({
  audio: { button: "microphone", on: ["Mute", "mic"], off: ["Unmute", "mic-off"] },
  video: { button: "camera", on: ["Stop camera", "camera"], off: ["Start camera", "camera-off"] },
});

/** Why somebody is no longer in the call. @type {Readonly<Record<string, string>>} */
const GONE = Object.freeze({
  left: "has left the call.",
  removed: "is out of the call.",
  unreachable: "cannot be reached any more.",
});

/** @typedef {{ reason: string, error?: unknown }} Ending */

/** One stay in a room: from joining its call to leaving it. */
export class Room {
  #group;
  #media;
  #onended;
  #onswitch;
  #reach;
  /** @type {Call | undefined} */
  #call;
  /** @type {GroupDetails | undefined} */
  #details;
  /** @type {unknown} what has stopped the call */
  #failure;
  #listening = new AbortController();
  #tiles;
  #people;
  #chat;
  #insight;
  /** @type {Door | undefined} */
  #door;
  #stopWatching;
  #ended = false;

  /**
   * @param {object} about
   * @param {MLSFederation} about.mls
   * @param {Client} about.client
   * @param {Group} about.group
   * @param {Link} about.link
   * @param {LocalMedia} about.media
   * @param {(ending: Ending) => void} about.onended
   * @param {() => void} about.onswitch told when sound or picture were turned on or off
   * @param {(identity: string) => Promise<void>} about.reach sees to it that the delivery service of an address is known
   */
  constructor({ mls, client, group, link, media, onended, onswitch, reach }) {
    this.#group = group;
    this.#media = media;
    this.#onended = onended;
    this.#onswitch = onswitch;
    this.#reach = reach;
    const { identity } = client;
    const { signal } = this.#listening;
    const onsent = (/** @type {string[][]} */ ways) => this.#insight.setOwnWays(ways);
    const isHost = link.host === identity;
    this.#tiles = new Tiles(byId("tiles", HTMLOListElement), identity, () => (byId("blocked", HTMLElement).hidden = false));
    this.#chat = new Chat(group, onsent, signal);
    this.#insight = new Insight(mls, group, signal);
    this.#people = new People({ group, identity, isHost, onsent, reach });
    byId("whose", HTMLElement).textContent = isHost
      ? "It is your room: you let people in, and can remove them."
      : `It is the room of ${link.host}, who lets people in.`;
    byId("room-link", HTMLInputElement).value = linkTo(link);
    if (isHost) this.#door = new Door(link.room, (waiting) => this.#people.setKnocking(waiting));
    this.#stopWatching = watchForSleep(() => void this.#comeBack());
    this.#wire();
    this.#listen();
    this.#drawSwitches();
  }

  /** Go into the call. If that fails, the stay has ended. */
  async join() {
    try {
      this.#setDetails(await this.#group.details());
    } catch (error) {
      return this.#end({ reason: "failed", error });
    }
    this.#chat.notice("You are in the room.");
    await this.#start();
  }

  /** Leave the call, and tell the others. */
  async leave() {
    await this.#call?.leave();
  }

  async #start() {
    const call = new Call(this.#group, { stream: this.#media.stream });
    this.#call = call;
    this.#failure = undefined;
    /** @type {string | undefined} */
    let ended;
    let joined = false;
    this.#on(call, "participant", ({ participant }) => {
      this.#chat.notice(`${participant.identity} is in the call.`);
      this.#showParticipant(participant);
    });
    this.#on(call, "participantleft", ({ participant, reason }) => {
      this.#tiles.remove(participant);
      this.#chat.notice(`${participant.identity} ${GONE[reason] ?? "is being connected to anew."}`);
      this.#showParticipants();
    });
    this.#on(call, "state", ({ participant }) => {
      if (participant.state !== "left") this.#showParticipant(participant);
    });
    this.#on(call, "keys", (/** @type {SendingKey} */ key) => this.#insight.setSending(key));
    this.#on(call, "statistics", (/** @type {CallStatistics} */ { participants, counters }) => {
      this.#insight.setParticipants(participants, counters);
    });
    this.#on(call, "error", (error) => {
      this.#failure = error;
      showProblem(byId("call-error", HTMLElement), explained(error));
    });
    this.#on(call, "ended", ({ reason }) => {
      ended = reason;
      // While it joins, what it fails with says more.
      if (joined || reason === "removed" || reason === "left") this.#end({ reason, error: this.#failure });
    });
    try {
      await call.join();
      joined = true;
      if (ended !== undefined) this.#end({ reason: ended, error: this.#failure });
    } catch (error) {
      this.#end({ reason: "failed", error });
    }
  }

  /** The tab was asleep: the others have given up on its connections, and so do we. */
  async #comeBack() {
    if (this.#ended) return;
    const earlier = this.#call;
    this.#call = undefined;
    for (const participant of earlier?.participants ?? []) this.#tiles.remove(participant);
    earlier?.dispose();
    this.#chat.notice("This tab was asleep. You are being connected anew.");
    await this.#start();
  }

  /** @param {Ending} ending */
  #end(ending) {
    if (this.#ended) return;
    this.#ended = true;
    this.#listening.abort();
    this.#stopWatching();
    this.#door?.close();
    this.#tiles.clear();
    this.#media.close();
    byId("confirm", HTMLDialogElement).close();
    this.#onended(ending);
  }

  #wire() {
    for (const kind of /** @type {MediaKind[]} */ (["audio", "video"])) {
      const button = byId(SWITCHES[kind].button, HTMLButtonElement);
      button.onclick = () => during(button, byId("call-error", HTMLElement), () => this.#switch(kind));
    }
    for (const [id, words] of Object.entries({ invite: "Invite", renew: "Renew keys", leave: "Leave" })) {
      byId(id, HTMLButtonElement).replaceChildren(icon(id), words);
    }
    const leave = byId("leave", HTMLButtonElement);
    leave.onclick = () => during(leave, byId("call-error", HTMLElement), () => this.leave());
    byId("invite", HTMLButtonElement).onclick = () => {
      const form = byId("invite-form", HTMLFormElement);
      byId("people-card", HTMLDetailsElement).open = true;
      byId(form.hidden ? "room-link" : "invite-address", HTMLInputElement).focus({ focusVisible: true });
    };
    const unmute = byId("unblock", HTMLButtonElement);
    unmute.onclick = () => {
      byId("blocked", HTMLElement).hidden = true;
      void this.#tiles.unmute();
      byId("microphone", HTMLButtonElement).focus({ focusVisible: true });
    };
    wireCopy(byId("copy-link", HTMLButtonElement), byId("room-link", HTMLInputElement), byId("copied-link", HTMLElement));
    this.#media.onended = (kind) => {
      this.#call?.setTrack(kind, null);
      this.#drawSwitches();
    };
  }

  /** @param {MediaKind} kind */
  async #switch(kind) {
    try {
      if (this.#media.track(kind) === null) await this.#media.turnOn(kind);
      else {
        this.#call?.setTrack(kind, null);
        this.#media.turnOff(kind);
      }
    } catch (error) {
      throw explained(error);
    }
    const track = this.#media.track(kind);
    if (track !== null) this.#call?.setTrack(kind, track);
    this.#drawSwitches();
    this.#onswitch();
  }

  #drawSwitches() {
    for (const kind of /** @type {MediaKind[]} */ (["audio", "video"])) {
      const { button, on, off } = SWITCHES[kind];
      const [words, picture] = this.#media.track(kind) === null ? off : on;
      const place = byId(button, HTMLButtonElement);
      place.replaceChildren(icon(picture), words);
      place.classList.toggle("off", this.#media.track(kind) === null);
    }
    this.#tiles.showOwn(this.#media);
  }

  #listen() {
    this.#on(this.#group, "epoch", (/** @type {GroupDetails} */ details) => this.#setDetails(details));
    this.#on(this.#group, "lost", () => {
      const words = "The room has gone on without this tab, which cannot follow. Ask the host to remove you and let you in again.";
      showProblem(byId("call-error", HTMLElement), new Error(words));
    });
    this.#on(this.#group, "unsent", ({ text }) => {
      this.#chat.notice(`A message could not be sent, and some may have read it: ${text ?? "no text"}`);
    });
  }

  /** @param {GroupDetails} details */
  #setDetails(details) {
    if (this.#details !== undefined && details.epoch <= this.#details.epoch) return;
    if (this.#details !== undefined) for (const notice of changes(this.#details, details)) this.#chat.notice(notice);
    this.#details = details;
    const number = byId("safety-number", HTMLOListElement);
    number.replaceChildren(...safetyRows(details.safetyNumber));
    number.dataset.epoch = String(details.epoch);
    number.dataset.number = details.safetyNumber;
    this.#people.setDetails(details);
    this.#insight.setDetails(details);
    byId("alone", HTMLElement).hidden = details.members.length > 1;
    for (const { identity } of details.members) {
      this.#reach(identity).catch((error) => showProblem(byId("call-error", HTMLElement), explained(error)));
    }
  }

  /** @param {Participant} participant */
  #showParticipant(participant) {
    const before = byId("tiles", HTMLElement).querySelector(`[data-identity="${CSS.escape(participant.identity)}"]`);
    const wasVerified = before?.getAttribute("data-state") === "verified";
    this.#tiles.show(participant);
    this.#showParticipants();
    if (participant.state === "cannot-decrypt" || (participant.state === "verified" && !wasVerified)) {
      byId("announce", HTMLElement).textContent = `${participant.identity}: ${standing(participant).words}.`;
    }
  }

  #showParticipants() {
    const participants = this.#call?.participants ?? [];
    this.#people.setParticipants(participants);
    this.#insight.setParticipants(participants);
  }

  /**
   * @param {EventTarget} target
   * @param {string} name
   * @param {(detail: any) => void} handle
   */
  #on(target, name, handle) {
    const ours = (/** @type {Event} */ event) => {
      // A call that another has taken the place of says nothing any more.
      if (target === this.#call || target === this.#group) handle(/** @type {CustomEvent} */ (event).detail);
    };
    target.addEventListener(name, ours, { signal: this.#listening.signal });
  }
}
