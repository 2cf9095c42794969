/**
 * The console: cells of Python, run one after another in a worker of their own.
 *
 * @import { Remote } from "comlink"
 * @import { ConsoleWorker, Output } from "./console-worker.js"
 */
import { wrap } from "/mls-federation/comlink.js";
import { byId, element, showProblem } from "/demo/dom.js";
import { EXAMPLES } from "./examples.js";

/** @typedef {{ item: HTMLLIElement, label: HTMLLabelElement, source: HTMLTextAreaElement, output: HTMLElement }} Cell */

const list = byId("cells", HTMLOListElement);
/** @type {Cell[]} */
const cells = [];
/** How many cells have been made, and how many have been run. */
const counts = { made: 0, run: 0 };

/** @type {Worker | undefined} */
let worker;
/** @type {Promise<Remote<ConsoleWorker>>} fails if Python cannot be loaded */
let python;
/** @type {Promise<void>} when the last cell that was to run has run */
let queue = Promise.resolve();
/** @type {Cell | undefined} whose output comes now: what happens later comes to the cell that ran last */
let latest;

/**
 * @param {"connecting" | "connected" | "disconnected"} state
 * @param {string} text
 */
function showState(state, text) {
  byId("state", HTMLElement).dataset.state = state;
  byId("state", HTMLElement).textContent = text;
}

/** Begin with a fresh Python. */
function start() {
  worker?.terminate();
  const own = (worker = new Worker("/pyscript/console-worker.js", { type: "module", name: "console" }));
  counts.run = 0;
  latest = undefined;
  queue = Promise.resolve();
  showState("connecting", "Loading Python…");
  showProblem(byId("problem", HTMLElement));
  for (const cell of cells) setState(cell, "idle", "Not run");
  python = load(own);
  python.catch((error) => {
    if (worker !== own) return;
    showState("disconnected", "Failed");
    showProblem(byId("problem", HTMLElement), error);
  });
}

/**
 * @param {Worker} own
 * @returns {Promise<Remote<ConsoleWorker>>}
 */
async function load(own) {
  const failed = new Promise((_, reject) => {
    own.addEventListener("error", ({ message }) => reject(new Error(message || "The console’s worker could not be loaded.")));
  });
  const response = await fetch("/federation.json");
  if (!response.ok) throw new Error(`The list of delivery services could not be loaded (HTTP ${response.status}).`);
  const { domains } = await response.json();
  const remote = /** @type {Remote<ConsoleWorker>} */ (wrap(own));
  own.addEventListener("message", (/** @type {MessageEvent<Output>} */ { data }) => {
    if (!("printed" in data) || worker !== own || latest === undefined) return;
    write(latest, `${data.printed}\n`, data.kind === "err" ? "error" : "");
  });
  await Promise.race([remote.start(domains), failed]);
  showState("connected", "Ready");
  // Comlink's proxy has every property, `then` too: a promise must not resolve to it bare.
  return /** @type {any} */ ({ run: (/** @type {string} */ source, /** @type {number} */ number) => remote.run(source, number) });
}

/**
 * @param {Cell} cell
 * @param {string} text
 * @param {"" | "error" | "value"} kind
 */
function write({ output }, text, kind) {
  output.append(element("span", { class: kind || false }, text));
  output.scrollTop = output.scrollHeight;
}

/**
 * @param {Cell} cell
 * @param {"idle" | "waiting" | "running" | "done" | "failed"} state
 * @param {string} text
 */
function setState({ item, label }, state, text) {
  item.dataset.state = state;
  label.textContent = text;
}

/** @param {Cell} cell */
function run(cell) {
  setState(cell, "waiting", "Waiting…");
  const own = worker;
  queue = queue.then(async () => {
    // Python was begun anew, or the cell was removed, while it waited.
    if (worker !== own || !cells.includes(cell)) return;
    let ready;
    try {
      ready = await python;
    } catch {
      // Said at the top of the page, where Python can be begun anew.
      setState(cell, "idle", "Not run");
      return;
    }
    if (worker !== own) return;
    const number = ++counts.run;
    setState(cell, "running", `Cell ${number} runs…`);
    cell.output.replaceChildren();
    latest = cell;
    const { ok, text } = await ready.run(cell.source.value, number);
    if (worker !== own) return;
    if (text !== "") write(cell, text.endsWith("\n") ? text : `${text}\n`, ok ? "value" : "error");
    setState(cell, ok ? "done" : "failed", ok ? `Cell ${number}` : `Cell ${number} failed`);
  });
}

/**
 * @param {string} [text]
 * @param {Cell} [after] by default it comes last
 * @returns {Cell}
 */
function addCell(text = "", after) {
  const id = `cell-${++counts.made}`;
  const label = element("label", { for: id }, "Not run");
  const source = element("textarea", {
    id,
    class: "source",
    rows: "1",
    spellcheck: "false",
    autocapitalize: "off",
    autocomplete: "off",
    "aria-describedby": `${id}-output`,
  });
  source.value = text;
  source.setSelectionRange(0, 0);
  const output = element("pre", { id: `${id}-output`, class: "output", role: "log", "aria-label": "Output" });
  const runButton = element("button", { class: "small primary", type: "button" }, "Run");
  const removeButton = element("button", { class: "small", type: "button", "aria-label": "Remove this cell" }, "Remove");
  const item = element(
    "li",
    { class: "card cell", "data-state": "idle" },
    element("div", { class: "bar" }, label, runButton, removeButton),
    source,
    output,
  );
  const cell = { item, label, source, output };
  runButton.onclick = () => run(cell);
  removeButton.onclick = () => removeCell(cell);
  source.oninput = () => fit(source);
  source.onkeydown = (event) => onKey(event, cell);
  cells.splice(after === undefined ? cells.length : cells.indexOf(after) + 1, 0, cell);
  if (after === undefined) list.append(item);
  else after.item.after(item);
  fit(source);
  return cell;
}

/** @param {Cell} cell */
function removeCell(cell) {
  const index = cells.indexOf(cell);
  cells.splice(index, 1);
  cell.item.remove();
  const next = cells[index] ?? cells.at(-1) ?? addCell();
  next.source.focus();
}

/**
 * As high as its text.
 *
 * @param {HTMLTextAreaElement} source
 */
function fit(source) {
  source.style.height = "auto";
  source.style.height = `${source.scrollHeight + 2}px`;
}

/**
 * @param {KeyboardEvent} event
 * @param {Cell} cell
 */
function onKey(event, cell) {
  if (event.key !== "Enter" || event.isComposing || event.altKey) return;
  if (event.shiftKey || event.ctrlKey || event.metaKey) {
    event.preventDefault();
    run(cell);
    if (!event.shiftKey) return;
    const next = cells[cells.indexOf(cell) + 1] ?? addCell();
    next.source.focus();
    return;
  }
  // A new line begins where this one does, and further in after a colon.
  const { source } = cell;
  const line = source.value.slice(source.value.lastIndexOf("\n", source.selectionStart - 1) + 1, source.selectionStart);
  const indent = (/^ */.exec(line)?.[0] ?? "") + (line.trimEnd().endsWith(":") ? "    " : "");
  if (indent === "") return;
  event.preventDefault();
  source.setRangeText(`\n${indent}`, source.selectionStart, source.selectionEnd, "end");
  fit(source);
}

/** @param {string[]} texts */
function addExample(texts) {
  const [only] = cells;
  if (cells.length === 1 && only?.source.value === "") {
    cells.pop();
    only.item.remove();
  }
  const [first] = texts.map((text) => addCell(text));
  first?.source.focus();
}

byId("examples", HTMLElement).append(
  ...EXAMPLES.map(({ name, cells: texts }) => {
    const button = element("button", { class: "small", type: "button" }, name);
    button.onclick = () => addExample(texts);
    return button;
  }),
);
byId("add", HTMLButtonElement).onclick = () => addCell().source.focus();
byId("run-all", HTMLButtonElement).onclick = () => cells.forEach(run);
byId("restart", HTMLButtonElement).onclick = start;
addCell().source.focus();
start();
