#!/usr/bin/env node
/** Copies what a site serves: `mls-federation copy FOLDER` the module and all that it loads, `mls-federation start FOLDER` a site. */
import { cp, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const USAGE = `usage: mls-federation copy FOLDER    the module, Pyodide and the client, to be served as FOLDER
       mls-federation start FOLDER   a new site in FOLDER: a page, its script, and the above`;

/** @param {string} name */
const ours = (name) => fileURLToPath(new URL(name, import.meta.url));

/** @param {string} folder */
async function copyModule(folder) {
  await cp(ours("module"), folder, { recursive: true, filter: (file) => !file.endsWith(".d.ts") });
}

/** @param {string} folder */
async function startSite(folder) {
  await mkdir(folder, { recursive: true });
  if ((await readdir(folder)).length > 0) throw new Error(`${folder} is not empty; name a new folder.`);
  await cp(ours("starter"), folder, { recursive: true });
  await copyModule(join(folder, "mls-federation"));
}

const commands = { copy: copyModule, start: startSite };
const [name, folder, ...others] = process.argv.slice(2);
const command = Object.entries(commands).find(([known]) => known === name)?.[1];
if (command === undefined || folder === undefined || others.length > 0) {
  console.error(USAGE);
  process.exitCode = 2;
} else {
  try {
    await command(folder);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
}
