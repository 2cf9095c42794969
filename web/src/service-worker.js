/**
 * A service worker that keeps what start-up loads, so that the client starts without a network.
 *
 * It controls pages at and below its own folder, so a site serves a copy of it at its root (docs/startup.md). Its address says what it is
 * about: `module`, the folder of the module; and `also`, as often as wanted, a file of the site that is kept too. Other requests it
 * leaves alone.
 *
 * @typedef {Event & { waitUntil(until: Promise<unknown>): void }} LifecycleEvent
 * @typedef {Event & { request: Request, respondWith(response: Promise<Response>): void }} RequestEvent
 * @typedef {EventTarget & { skipWaiting(): Promise<void>, clients: { claim(): Promise<void> } }} ServiceWorkerScope
 */

// A classic script, so that a site's own service worker can `importScripts` it; its names are kept to itself.
{
  const scope = /** @type {ServiceWorkerScope} */ (/** @type {unknown} */ (self));
  const given = new URLSearchParams(location.search);
  const moduleFolder = new URL(given.get("module") ?? "/mls-federation/", location.href).pathname;
  const also = new Set(given.getAll("also").map((file) => new URL(file, location.href).pathname));
  const CACHE = "mls-federation";

  /**
   * What is named by its content never changes.
   *
   * @param {Request} request
   */
  const keptFirst = async (request) => {
    const cache = await caches.open(CACHE);
    const kept = await cache.match(request.url);
    if (kept !== undefined) return kept;
    const response = await fetch(request);
    if (response.status === 200) await cache.put(request.url, response.clone());
    return response;
  };

  /**
   * What keeps its name is asked for each time, and taken as it was last where nobody answers.
   *
   * @param {Request} request
   */
  const askedFirst = async (request) => {
    const cache = await caches.open(CACHE);
    const { origin, pathname } = new URL(request.url);
    let response;
    try {
      response = await fetch(request);
    } catch (error) {
      const kept = await cache.match(origin + pathname);
      if (kept === undefined) throw error;
      return kept;
    }
    if (response.status === 200) await cache.put(origin + pathname, response.clone());
    return response;
  };

  scope.addEventListener("install", () => void scope.skipWaiting());
  scope.addEventListener("activate", (event) => /** @type {LifecycleEvent} */ (event).waitUntil(scope.clients.claim()));
  scope.addEventListener("fetch", (event) => {
    const { request, respondWith } = /** @type {RequestEvent} */ (event);
    const { origin, pathname } = new URL(request.url);
    if (request.method !== "GET" || origin !== location.origin) return;
    if (pathname.startsWith(moduleFolder) && pathname.slice(moduleFolder.length).includes("/")) {
      respondWith.call(event, keptFirst(request));
    } else if (also.has(pathname) || pathname === `${moduleFolder}index.js`) {
      respondWith.call(event, askedFirst(request));
    }
  });
}
