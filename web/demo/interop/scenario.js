/**
 * What the page plays by itself: a group from its first member to the last change, in which everyone does everything once.
 *
 * @import { SharedGroup, Standing } from "./shared-group.js"
 */

/**
 * @param {SharedGroup} group
 * @param {string} creator
 * @param {string[]} everyone
 * @returns {Promise<number>} how many steps it had
 * @throws {Error} after the first step after which the members do not agree
 */
export async function play(group, creator, everyone) {
  const others = everyone.filter((id) => id !== creator);
  const [first, ...later] = others;
  if (first === undefined) throw new Error("Two implementations are needed, and this browser has one.");
  let steps = 0;
  /** @param {Promise<Standing>} made */
  const step = async (made) => {
    const { step: what, agreement } = await made;
    steps += 1;
    if (!agreement.agreed) throw new Error(`After “${what}”: ${agreement.words}`);
  };

  await step(group.create(creator));
  await step(group.add(creator, first));
  // Whoever was added adds the next.
  let last = first;
  for (const id of later) {
    await step(group.add(last, id));
    last = id;
  }
  for (const id of everyone) await step(group.send(id, `Hello from ${id}`));
  for (const id of everyone) if (group.canUpdate(id)) await step(group.update(id));
  await step(group.remove(last, creator));
  for (const id of group.members) await step(group.send(id, `${id} again, without ${creator}`));
  await step(group.add(last, creator));
  await step(group.send(creator, "Back again"));
  return steps;
}
