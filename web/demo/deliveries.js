/**
 * What became of a message, in words.
 *
 * @import { Delivery } from "../src/protocol.js"
 */

const UNDELIVERED = {
  pending: "their delivery service cannot be reached now. It is tried again.",
  unknown: "their delivery service does not know them any more.",
  refused: "a delivery service refused it.",
  "inbox-full": "their inbox is full. It is tried again.",
  "queue-full": "too much waits for their delivery service. It is tried again.",
};

/**
 * Say so where somebody did not get what was sent.
 *
 * @param {Delivery[]} deliveries
 */
export function requireDelivered(deliveries) {
  const failed = deliveries.flatMap(({ identity, status }) =>
    status === "accepted" || status === "relayed" ? [] : [`Not delivered to ${identity}: ${UNDELIVERED[status]}`],
  );
  if (failed.length > 0) throw new Error(failed.join(" "));
}
