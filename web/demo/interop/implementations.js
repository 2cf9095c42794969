/**
 * The implementations that this page can put into a group.
 *
 * @import { Implementation } from "./member.js"
 * @import { MLSInterface } from "./web-api-member.js"
 */
import { MLS } from "mls-federation/mls";
import { engine } from "../engine.js";
import { newTsMlsMember } from "./ts-mls-member.js";
import { newWebApiMember } from "./web-api-member.js";

const HOW_TO_GET_IT =
  "This browser has no MLS of its own. Firefox has, from version 136, behind a preference: open about:config, set " +
  "dom.origin-trials.mls.state to 1, and load this page again.";

/** @returns {Implementation[]} */
export function implementations() {
  const own = /** @type {(new () => MLSInterface) | undefined} */ (Reflect.get(globalThis, "MLS"));
  return [
    {
      id: "mls-federation",
      title: "mls-federation",
      description: "This project, behind the interface MLS of Firefox: Python, in Pyodide, on libsodium and noble, or on cryptography.",
      async newMember() {
        MLS.use(await engine());
        return newWebApiMember(new MLS(), "mls-federation");
      },
    },
    {
      id: "ts-mls",
      title: "ts-mls",
      description: "TypeScript, from npm; its cryptography is WebCrypto and noble.",
      newMember: () => newTsMlsMember("ts-mls"),
    },
    {
      id: "browser",
      title: "This browser’s own",
      description: "The interface MLS of Firefox; behind it are mls-rs, in Rust, and NSS.",
      missing: own === undefined ? HOW_TO_GET_IT : undefined,
      async newMember() {
        if (own === undefined) throw new Error(HOW_TO_GET_IT);
        return newWebApiMember(new own(), "browser");
      },
    },
  ];
}
