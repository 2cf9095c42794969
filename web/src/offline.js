/**
 * The page's side of `service-worker.js`: it is registered, and given what start-up loads.
 *
 * @import { Assets } from "./loading.js"
 */

const CACHE = "mls-federation";

/**
 * @param {string} base address of the release's folder
 * @param {string} script address of the service worker
 * @param {string[]} also addresses of files of the site that are kept too
 * @returns {Promise<ServiceWorkerRegistration>} once everything is kept
 */
export async function keepForOffline(base, script, also) {
  const moduleFolder = new URL("..", base);
  const files = also.map((file) => new URL(file, location.href));
  const url = new URL(script, location.href);
  url.searchParams.set("module", moduleFolder.pathname);
  for (const { pathname } of files) url.searchParams.append("also", pathname);
  const registration = await navigator.serviceWorker.register(url);
  await navigator.serviceWorker.ready;

  const released = await releasedFiles(base);
  const cache = await caches.open(CACHE);
  for (const { url: kept } of await cache.keys()) {
    if (kept.startsWith(moduleFolder.href) && !released.has(kept)) await cache.delete(kept);
  }
  const missing = [];
  for (const file of released) if ((await cache.match(file)) === undefined) missing.push(file);
  await cache.addAll([...missing, new URL("index.js", moduleFolder).href, ...files.map(({ origin, pathname }) => origin + pathname)]);
  return registration;
}

/**
 * @param {string} base
 * @returns {Promise<Set<string>>} addresses
 */
async function releasedFiles(base) {
  const url = new URL("assets.json", base);
  /** @type {Assets} */
  const { bytes, pyodide } = await (await fetch(url)).json();
  const names = Object.keys(bytes).filter((file) => pyodide.packages || !file.endsWith("pyodide-lock.json"));
  return new Set([url.href, ...names.map((file) => new URL(file, base).href)]);
}
