// Bundled to /mls-federation/vendor/idb.js.
export { openDB } from "idb";
