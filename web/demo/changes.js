/**
 * What has happened in a group, in words.
 *
 * @import { GroupDetails } from "../src/protocol.js"
 */

/**
 * What an epoch changed, in words.
 *
 * @param {GroupDetails} before
 * @param {GroupDetails} after
 */
export function changes(before, after) {
  const names = (/** @type {GroupDetails} */ { members }) => new Set(members.map(({ identity }) => identity));
  const [old, now] = [names(before), names(after)];
  const notices = [
    ...[...now].filter((name) => !old.has(name)).map((name) => `${name} joined.`),
    ...[...old].filter((name) => !now.has(name)).map((name) => `${name} was removed.`),
  ];
  return notices.length > 0 ? notices : [`Keys were renewed: epoch ${after.epoch}.`];
}
