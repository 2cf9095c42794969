/** The modules that a page may import, as `exports` of `web/package.json` names them. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const MODULE = join(ROOT, "build/web/mls-federation");
/** What a page gets, the folder of the release; `python3 -m dev.environment` makes it. */
export const SERVED = join(MODULE, readdirSync(MODULE).find((name) => existsSync(join(MODULE, name, "assets.json"))) ?? "");

/** @returns {string[]} their names, without suffix */
export function publicModules() {
  const { exports } = JSON.parse(readFileSync(join(ROOT, "web/package.json"), "utf8"));
  return Object.values(exports)
    .filter((target) => target.types !== undefined && target.default !== undefined)
    .map(({ types }) => basename(types, ".d.ts"));
}
