/** The few pictures of the call page, drawn in the colour of the text beside them. */

const SVG = "http://www.w3.org/2000/svg";

/** Paths in a square of 24. @type {Readonly<Record<string, string>>} */
const PATHS = Object.freeze({
  mic: "M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3M5.5 11a6.5 6.5 0 0 0 13 0M12 17.5V21",
  "mic-off": "M9 9v2a3 3 0 0 0 4.6 2.5M15 10.5V6a3 3 0 0 0-5.8-1M5.5 11a6.5 6.5 0 0 0 10 5.5M18.3 13a6.5 6.5 0 0 0 .2-2M12 17.5V21M4 4l16 16",
  camera: "M4 7h9a2 2 0 0 1 2 2v6a2 2 0 0 1-2 2H4a2 2 0 0 1-2-2V9a2 2 0 0 1 2-2M15 11l6-3.5v9L15 13",
  "camera-off": "M9 7h4a2 2 0 0 1 2 2v4M15 11l6-3.5v9l-4-2.3M14 17H4a2 2 0 0 1-2-2V9a2 2 0 0 1 1-1.7M4 4l16 16",
  invite: "M9.5 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7M3 20c0-3.5 2.9-6 6.5-6s6.5 2.5 6.5 6M18.5 8v6M15.5 11h6",
  renew: "M20 11a8 8 0 0 0-14-4.6L4 8.5M4 4v4.5h4.5M4 13a8 8 0 0 0 14 4.6l2-2.1M20 20v-4.5h-4.5",
  leave: "M9 4H6a2 2 0 0 0-2 2v12a2 2 0 0 0 2 2h3M15 8l4 4-4 4M19 12H9",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3M10 15.5l1.5 1.5 2.7-2.7",
  wait: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16M12 8v4.5l3 1.8",
  warn: "M12 4l9 16H3zM12 10v4.5M12 17.2v.3",
});

/**
 * @param {string} name
 * @returns {SVGSVGElement} hidden from screen readers: words stand beside it
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" })) svg.setAttribute(key, value);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name] ?? "");
  svg.append(path);
  return svg;
}
