/**
 * The keys of a group, from epoch to epoch, as the worker of a call gets them.
 *
 * @import { FrameWorker } from "./call-transforms.js"
 * @import { Group } from "./group.js"
 * @import { SFrameKeys } from "./protocol.js"
 */
import { MediaKeys } from "./media-keys.js";

/**
 * Give a worker the keys of the present epoch and of each that follows, and tell it which to erase.
 *
 * @param {Group} group
 * @param {FrameWorker} worker
 * @param {{ context: bigint, overlap: number, switchDelay: number }} options `context`: of our own frames
 * @returns {MediaKeys} to be closed
 */
export function followKeys(group, worker, { context, overlap, switchDelay }) {
  const media = new MediaKeys(group, { overlap });
  media.addEventListener("keys", (event) => {
    const { epoch, cipherSuite, baseKey, epochBits, senderBits, senders } = /** @type {CustomEvent<SFrameKeys>} */ (event).detail;
    const own = senders.find(({ self }) => self);
    // Who is removed is told so; these are the keys of a member.
    if (own === undefined) return;
    worker.setKeys({ epoch, cipherSuite, baseKey, epochBits, senderBits, leafIndex: own.leafIndex, context }, switchDelay);
  });
  media.addEventListener("erased", (event) => worker.erase(/** @type {CustomEvent<{ epoch: bigint }>} */ (event).detail.epoch));
  return media;
}
