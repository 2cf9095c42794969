/** A member of the page's group, whatever it runs. Messages are encoded MLSMessages: nothing else passes between members. */
export interface Member {
  /** What its basic credential says. */
  readonly name: string;
  /** A KeyPackage by which it can be added, once. */
  keyPackage(): Promise<Uint8Array>;
  /** Begin a group with itself alone. */
  create(): Promise<void>;
  /** Become a member of the group of a Welcome. */
  join(welcome: Uint8Array): Promise<void>;
  /** Commit an Add; it is in the new epoch itself at once. */
  add(keyPackage: Uint8Array): Promise<Committed>;
  /** Commit a Remove, of the member with this name. */
  remove(name: string): Promise<Committed>;
  /** Commit new keys of its own; left out where what it runs has no call for that. */
  update?(): Promise<Committed>;
  send(text: string): Promise<Uint8Array>;
  receive(message: Uint8Array): Promise<Received>;
  /** What it believes of the group. */
  view(): Promise<View>;
  /** Leave the group behind, and keep nothing of it. */
  forget(): Promise<void>;
  /** The GroupInfo with the ratchet tree; left out where what it runs does not show it. */
  groupInfo?(): Promise<Uint8Array | undefined>;
}

export interface Committed {
  commit: Uint8Array;
  welcome?: Uint8Array | undefined;
}

export interface Received {
  kind: "application" | "commit" | "proposal" | "removed";
  text?: string;
}

export interface View {
  epoch: bigint;
  /** Names, by leaf. */
  members: string[];
  /** The secret that MLS exports for this page: the same for all members of an epoch. */
  exported: Uint8Array;
  /** Left out where what it runs does not tell. */
  epochAuthenticator?: Uint8Array | undefined;
}

/** One of those that the page can put into a group. */
export interface Implementation {
  /** Short, such as `ts-mls`; its member has the same name. */
  id: string;
  /** In words. */
  title: string;
  description: string;
  /** Why it is not there, and what can be done about it; undefined if it is. */
  missing?: string | undefined;
  /** A client with fresh keys. */
  newMember(): Promise<Member>;
}
