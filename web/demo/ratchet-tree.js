/**
 * Draws a ratchet tree (RFC 9420 §4, §7): who the members are, and the nodes above them whose keys they share.
 *
 * What it looks like is in ratchet-tree.css. What a colour says, a form says too; the same is there as a list, for whoever cannot
 * see the drawing.
 *
 * @import { RatchetTree, RatchetTreeNode } from "../src/protocol.js"
 */
import { element } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const LEVEL_HEIGHT = 64;
const RADIUS = 15;
const MARGIN = 20;
// With more leaves than this the names are slanted, and the leaves nearer to each other.
const MOST_LEVEL_NAMES = 8;
const LONGEST_NAME = 16;
/** Of a sign of a name, about. */
const SIGN_WIDTH = 9;

/**
 * A tree, drawn, with a list that says the same.
 *
 * @param {RatchetTree} tree
 * @param {{ title?: string, previous?: RatchetTree | undefined }} [options] `previous`: nodes that have another key than in it, and new ones,
 *   are marked
 * @returns {HTMLElement}
 */
export function drawnTree(tree, { title = "The ratchet tree", previous } = {}) {
  const fresh = changedNodes(tree, previous);
  const members = tree.nodes.filter(({ level, blank }) => level === 0 && !blank);
  const summary = `${members.length} ${members.length === 1 ? "member" : "members"}, ${tree.leafCount} ${
    tree.leafCount === 1 ? "leaf" : "leaves"
  }: ${members.map(nameOf).join(", ")}.`;
  return element(
    "figure",
    { class: "ratchet-tree" },
    element("div", { class: "drawing", tabindex: "0", role: "region", "aria-label": `${title}, drawn` }, drawing(tree, fresh, title, summary)),
    element(
      "figcaption",
      {},
      legend(tree, fresh),
      element("details", {}, element("summary", {}, "The same as a list"), element("ul", { class: "outline" }, outline(tree, tree.root, fresh))),
    ),
  );
}

/**
 * @param {RatchetTree} tree
 * @param {RatchetTree | undefined} previous
 * @returns {Set<number>}
 */
function changedNodes(tree, previous) {
  if (previous === undefined) return new Set();
  const before = new Map(previous.nodes.map((node) => [node.nodeIndex, String(node.encryptionKey)]));
  const changed = tree.nodes.filter(
    ({ nodeIndex, blank, encryptionKey }) => !blank && before.get(nodeIndex) !== String(encryptionKey),
  );
  return new Set(changed.map(({ nodeIndex }) => nodeIndex));
}

/** @param {RatchetTreeNode} node a leaf */
const nameOf = (node) => (node.blank ? "blank" : node.identity || `leaf ${node.nodeIndex / 2}`);

/**
 * @param {RatchetTree} tree
 * @param {Set<number>} fresh
 * @param {string} title
 * @param {string} summary
 */
function drawing(tree, fresh, title, summary) {
  const slanted = tree.leafCount > MOST_LEVEL_NAMES;
  const longest = Math.max(...tree.nodes.map((node) => (node.level === 0 ? shortened(nameOf(node)).length : 0)));
  const spacing = slanted ? 44 : Math.max(116, longest * SIGN_WIDTH + 12);
  const height = /** @type {RatchetTreeNode} */ (tree.nodes[tree.root]).level * LEVEL_HEIGHT;
  const below = slanted ? 84 : 26;
  // The name of the first leaf reaches further left than the leaf, and a slanted one of the last further right.
  const side = slanted ? 30 : spacing / 2;
  const width = (tree.leafCount - 1) * spacing + 2 * side + (slanted ? 60 : 0);
  const total = height + 2 * RADIUS + 2 * MARGIN + below;
  // In the array of a tree, each node stands in the middle above those below it.
  /** @param {RatchetTreeNode} node */
  const place = ({ nodeIndex, level }) => ({
    x: side + (nodeIndex / 2) * spacing,
    y: MARGIN + RADIUS + height - level * LEVEL_HEIGHT,
  });

  const svg = svgElement("svg", {
    viewBox: `0 0 ${width} ${total}`,
    width: String(width),
    height: String(total),
    role: "img",
    "aria-label": `${title}. ${summary}`,
  });
  svg.append(svgElement("title", {}, title), svgElement("desc", {}, summary));
  for (const node of tree.nodes) {
    const above = node.parent === undefined ? undefined : tree.nodes[node.parent];
    if (above === undefined) continue;
    const [from, to] = [place(above), place(node)];
    const middle = (from.y + to.y) / 2;
    svg.append(
      svgElement("path", {
        class: node.blank || above.blank ? "edge faint" : "edge",
        d: `M${from.x} ${from.y}C${from.x} ${middle} ${to.x} ${middle} ${to.x} ${to.y}`,
      }),
    );
  }
  for (const node of tree.nodes) svg.append(drawnNode(node, place(node), fresh.has(node.nodeIndex), slanted));
  return svg;
}

/**
 * @param {RatchetTreeNode} node
 * @param {{ x: number, y: number }} place
 * @param {boolean} isFresh
 * @param {boolean} slanted
 */
function drawnNode(node, { x, y }, isFresh, slanted) {
  const kind = node.level === 0 ? "leaf" : "parent";
  const classes = ["node", kind, node.blank ? "blank" : "full", isFresh ? "fresh" : ""].filter(Boolean).join(" ");
  const group = svgElement("g", { class: classes, transform: `translate(${x} ${y})` });
  group.append(svgElement("title", {}, sentenceOf(node, isFresh)));
  if (isFresh) group.append(shape(kind, RADIUS + 4, "ring"));
  group.append(shape(kind, RADIUS, "body"));
  group.append(svgElement("text", { class: "index", y: "4" }, String(node.level === 0 ? node.nodeIndex / 2 : node.nodeIndex)));
  if (kind === "leaf") {
    const turn = slanted ? { transform: `translate(-4 ${RADIUS + 14}) rotate(42)`, "text-anchor": "start" } : { y: String(RADIUS + 22) };
    group.append(svgElement("text", { class: "name", ...turn }, shortened(nameOf(node))));
  } else if (node.unmergedLeaves.length > 0) {
    const list = node.unmergedLeaves.length > 4 ? `${node.unmergedLeaves.length} unmerged` : `unmerged: ${node.unmergedLeaves.join(", ")}`;
    group.append(svgElement("text", { class: "note", x: String(RADIUS + 8), y: "-9", "text-anchor": "start" }, list));
  }
  return group;
}

/**
 * @param {"leaf" | "parent"} kind a leaf is a square, a parent a circle
 * @param {number} radius
 * @param {string} name
 */
function shape(kind, radius, name) {
  if (kind === "parent") return svgElement("circle", { class: name, r: String(radius) });
  const [corner, side] = [String(-radius), String(2 * radius)];
  return svgElement("rect", { class: name, x: corner, y: corner, width: side, height: side, rx: String(radius * 0.45) });
}

/** @param {string} name */
const shortened = (name) => (name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name);

/**
 * A node in words.
 *
 * @param {RatchetTreeNode} node
 * @param {boolean} isFresh
 */
function sentenceOf(node, isFresh) {
  const what = node.level === 0 ? `Leaf ${node.nodeIndex / 2}` : `Node ${node.nodeIndex}`;
  if (node.blank) return `${what}: blank`;
  const words = [node.level === 0 ? nameOf(node) : "a key of all members below it"];
  if (node.source !== undefined) words.push(`from its ${{ key_package: "KeyPackage", update: "Update", commit: "own commit" }[node.source] ?? node.source}`);
  if (node.unmergedLeaves.length > 0) words.push(`but not of ${node.unmergedLeaves.map((leaf) => `leaf ${leaf}`).join(", ")}`);
  if (isFresh) words.push("with a new key");
  return `${what}: ${words.join(", ")}`;
}

/**
 * @param {RatchetTree} tree
 * @param {number} index
 * @param {Set<number>} fresh
 * @returns {HTMLElement}
 */
function outline(tree, index, fresh) {
  const node = /** @type {RatchetTreeNode} */ (tree.nodes[index]);
  const below = tree.nodes.filter(({ parent }) => parent === index).map(({ nodeIndex }) => outline(tree, nodeIndex, fresh));
  const item = element("li", {}, sentenceOf(node, fresh.has(index)));
  if (below.length > 0) item.append(element("ul", {}, ...below));
  return item;
}

/**
 * @param {RatchetTree} tree
 * @param {Set<number>} fresh
 */
function legend(tree, fresh) {
  const entries = [["leaf full", "member"]];
  if (tree.nodes.some(({ level, blank }) => level > 0 && !blank)) entries.push(["parent full", "key that the members below share"]);
  if (tree.nodes.some(({ blank }) => blank)) entries.push(["parent blank", "blank"]);
  if (fresh.size > 0) entries.push(["leaf full fresh", "new key since the step before"]);
  return element(
    "ul",
    { class: "legend" },
    ...entries.map(([classes = "", words = ""]) => {
      const picture = svgElement("svg", { viewBox: "-12 -12 24 24", width: "20", height: "20", "aria-hidden": "true" });
      const node = svgElement("g", { class: `node ${classes}` });
      const kind = classes.startsWith("leaf") ? "leaf" : "parent";
      if (classes.includes("fresh")) node.append(shape(kind, 10, "ring"));
      node.append(shape(kind, 7, "body"));
      picture.append(node);
      return element("li", {}, picture, words);
    }),
  );
}

/**
 * @param {string} tag
 * @param {Record<string, string>} attributes
 * @param {...string} text
 */
function svgElement(tag, attributes, ...text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...text);
  return made;
}
