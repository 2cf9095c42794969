/**
 * The part of a page that verifies test vectors, the project's or the visitor's, and shows what came of each file.
 *
 * @import { MLSFederation } from "../src/index.js"
 * @import { SelfTestResult } from "../src/protocol.js"
 */
import { byId, during, element, sentence } from "./dom.js";

// More would say the same again.
const SHOWN_FAILURES = 5;

/**
 * @param {number} done
 * @param {number} total
 */
export function showProgress(done, total) {
  const bar = byId("progress", HTMLProgressElement);
  bar.max = total;
  bar.value = done;
}

/** @returns {Promise<Record<string, string>>} the project's own files, by name */
async function ownFiles() {
  /** @param {string} name */
  const fetched = async (name) => {
    const response = await fetch(`/demo/vectors/${name}`);
    if (!response.ok) throw new Error(`${name} could not be loaded (HTTP ${response.status}).`);
    return response;
  };
  /** @type {string[]} */
  const names = await (await fetched("index.json")).json();
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await (await fetched(name)).text()])));
}

/** @param {FileList} chosen */
async function chosenFiles(chosen) {
  const contents = [...chosen].map(async (file) => [file.name, new Uint8Array(await file.arrayBuffer())]);
  return /** @type {Record<string, Uint8Array>} */ (Object.fromEntries(await Promise.all(contents)));
}

/**
 * @param {() => Promise<MLSFederation>} engine
 * @param {() => Promise<Record<string, string | Uint8Array>>} files
 */
async function run(engine, files) {
  const bar = byId("progress", HTMLProgressElement);
  const rows = byId("results", HTMLTableSectionElement);
  bar.hidden = false;
  try {
    const mls = await engine();
    const given = await files();
    const total = Object.keys(given).length;
    rows.replaceChildren();
    byId("results-card", HTMLElement).hidden = false;
    byId("summary", HTMLElement).textContent = "Verifying…";
    showProgress(0, total);
    let done = 0;
    const results = await mls.selfTest(given, {
      onresult: (result) => {
        rows.append(...rendered(result));
        showProgress(++done, total);
      },
    });
    byId("summary", HTMLElement).textContent = summary(results);
  } finally {
    bar.hidden = true;
  }
}

/** @param {SelfTestResult[]} results */
function summary(results) {
  /** @param {"passed" | "failed" | "skipped"} name */
  const sum = (name) => results.reduce((count, result) => count + result[name], 0);
  const unknown = results.filter(({ error }) => error).length;
  const files = `${results.length} ${results.length === 1 ? "file" : "files"}`;
  const counts = `${sum("passed")} passed, ${sum("failed")} failed, ${sum("skipped")} skipped`;
  return `${files}: ${counts}${unknown ? `; ${unknown} without vectors` : ""}.`;
}

/** @param {SelfTestResult} result */
function rendered({ name, family, passed, failed, skipped, failures, error }) {
  const outcome = error || failed ? "failed" : "passed";
  const counts = error ? ["", "", ""] : [passed, failed, skipped].map(String);
  const row = element(
    "tr",
    { "data-outcome": outcome },
    element(
      "td",
      {},
      element("div", { class: "mono" }, name),
      element("div", { class: "family quiet" }, error ? "no vectors" : family),
    ),
    ...["passed", "failed", "skipped"].map((kind, index) =>
      element("td", { class: `number ${kind}` }, counts[index] ?? ""),
    ),
  );
  const reasons = error
    ? [sentence(error)]
    : failures.slice(0, SHOWN_FAILURES).map(({ entry, fault }) => `Entry ${entry}: ${fault.message} (${fault.code})`);
  if (failures.length > SHOWN_FAILURES) reasons.push(`And ${failures.length - SHOWN_FAILURES} more.`);
  return [row, ...reasons.map((reason) => element("tr", {}, element("td", { colspan: "4", class: "reason" }, reason)))];
}

/**
 * Let the buttons of the page work.
 *
 * @param {() => Promise<MLSFederation>} engine loads the client, once
 */
export function startVectorsCard(engine) {
  const problem = byId("problem", HTMLElement);
  const button = byId("run-ours", HTMLButtonElement);
  const input = byId("files", HTMLInputElement);
  // Both go through the button, so that only one runs at a time.
  button.addEventListener("click", () => void during(button, problem, () => run(engine, ownFiles)));
  input.addEventListener("change", () => {
    const { files } = input;
    if (!files?.length) return;
    void during(button, problem, async () => {
      await run(engine, () => chosenFiles(files));
      // The same files can be chosen again.
      input.value = "";
    });
  });
  // Before there was nothing that would have noticed a click.
  button.disabled = input.disabled = false;
}
