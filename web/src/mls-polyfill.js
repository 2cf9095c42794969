/**
 * For a page that was written for Firefox's experimental `MLS`: gives it to browsers that have none.
 *
 * ```html
 * <script type="module" src="/mls-federation/mls-polyfill.js"></script>
 * ```
 */
import { MLS, MLSGroupView } from "./mls.js";

// Like Firefox's, it is for secure contexts only.
if (isSecureContext && !("MLS" in globalThis)) {
  for (const [name, value] of Object.entries({ MLS, MLSGroupView })) {
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
  }
}
