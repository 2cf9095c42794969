// Bundled to /mls-federation/vendor/comlink.js.
export { expose, proxy, releaseProxy, wrap } from "comlink";
