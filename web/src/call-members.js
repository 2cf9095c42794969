/**
 * Who is at which leaf of the group, and so whose a message is.
 *
 * @import { GroupDetails, Member } from "./protocol.js"
 */

/** The group's members, as a call follows them. */
export class Members {
  /** @type {Map<number, { member: Member, since: bigint }> | undefined} by leaf: who has it, and from which epoch on */
  #seats;
  #leafIndex = -1;

  /** Whether they are known. */
  get known() {
    return this.#seats !== undefined;
  }

  /** Our own leaf. */
  get leafIndex() {
    return this.#leafIndex;
  }

  /**
   * Take note of an epoch.
   *
   * @param {GroupDetails} details
   * @returns {{ gone: number[], moved: boolean }} leaves that are empty now, or somebody else's; whether we have another one
   */
  update({ epoch, members }) {
    const before = this.#seats;
    this.#seats = new Map(
      members.map((member) => {
        const seat = before?.get(member.leafIndex);
        const stays = seat?.member.fingerprint === member.fingerprint && seat.member.identity === member.identity;
        return [member.leafIndex, { member, since: stays ? seat.since : before === undefined ? 0n : epoch }];
      }),
    );
    const gone = [...(before ?? [])].filter(([leafIndex, { since }]) => this.#seats?.get(leafIndex)?.since !== since);
    const leafIndex = members.find(({ self }) => self)?.leafIndex ?? -1;
    const moved = before !== undefined && leafIndex !== this.#leafIndex;
    this.#leafIndex = leafIndex;
    return { gone: gone.map(([leaf]) => leaf), moved };
  }

  /**
   * The other member that a message is from, if it is from one who still has the leaf that it was sent from.
   *
   * @param {{ sender: string, senderLeaf: number, epoch: bigint }} message
   * @returns {Member | undefined}
   */
  senderOf({ sender, senderLeaf, epoch }) {
    const seat = this.#seats?.get(senderLeaf);
    const same = seat !== undefined && seat.member.identity === sender && epoch >= seat.since && !seat.member.self;
    return same ? seat.member : undefined;
  }
}
