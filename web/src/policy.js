/**
 * What a Content-Security-Policy forbade in this page or worker, so that whatever fails by it can say so: to `fetch` and
 * `new Worker` alone, a policy looks like a broken network.
 *
 * @typedef {{ directive: string, blocked: string }} Violation what forbade it, and the source that it would have to allow
 */

// A browser tells of a violation in a task of its own, which may come some milliseconds after the failure.
const PATIENCE = 100;
const KEPT = 32;
/** @type {Violation[]} the latest last */
const violations = [];
/** @type {Set<(violation: Violation) => void>} */
const waiting = new Set();

globalThis.addEventListener("securitypolicyviolation", (event) => {
  const { disposition, effectiveDirective, blockedURI } = /** @type {SecurityPolicyViolationEvent} */ (event);
  if (disposition === "report") return;
  const violation = { directive: effectiveDirective, blocked: allowedBy(blockedURI) };
  violations.push(violation);
  if (violations.length > KEPT) violations.shift();
  for (const tell of waiting) tell(violation);
});

/**
 * The source by which a policy allows an address; a path or query may tell what is nobody's business.
 *
 * @param {string} address or a scheme alone, which is all that some browsers tell
 * @returns {string}
 */
function allowedBy(address) {
  if (!URL.canParse(address)) return `${address.replace(/:$/, "")}:`;
  const { origin, protocol } = new URL(address);
  return origin === "null" || protocol === "blob:" ? protocol : origin;
}

/**
 * @param {string} address of what has failed to load
 * @returns {Promise<Violation | undefined>} what forbade it, if that was a policy
 */
export async function violationOf(address) {
  const wanted = allowedBy(address);
  const seen = violations.findLast(({ blocked }) => blocked === wanted);
  if (seen !== undefined) return seen;
  /** @type {(violation: Violation) => void} */
  let tell = () => {};
  const told = new Promise((resolve) => {
    tell = (violation) => violation.blocked === wanted && resolve(violation);
    waiting.add(tell);
    setTimeout(resolve, PATIENCE);
  });
  return told.finally(() => waiting.delete(tell));
}

/** @returns {Promise<Violation | undefined>} what keeps this page or worker from running WebAssembly, if that is a policy */
export async function webAssemblyViolation() {
  const smallestModule = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
  try {
    // WebKit lets a module be compiled, and forbids its instance.
    await WebAssembly.instantiate(smallestModule);
    return undefined;
  } catch (error) {
    if (error instanceof WebAssembly.CompileError) return { directive: "script-src", blocked: "wasm-eval" };
    throw error;
  }
}

/**
 * What to tell a person of a violation.
 *
 * @param {Violation} violation
 * @returns {import("./protocol.js").Fault}
 */
export function policyFault({ directive, blocked }) {
  const needed = blocked === "wasm-eval" ? "'wasm-unsafe-eval'" : blocked;
  return {
    code: "blocked-by-policy",
    message: `The Content-Security-Policy of this page forbids ${blocked}. Its ${directive} must allow ${needed}; see docs/embedding.md.`,
    details: { directive, blocked },
  };
}
