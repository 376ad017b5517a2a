/**
 * Two identities and strangers at one broker. What each says bears its name, so that it shows where
 * somebody hears what is another's.
 */
import type { Connection } from '../../support/stage-peers.js';
import type { Stage } from '../../support/stage.js';
import { check, type Script } from '../target.js';

/** A connection, and whom it belongs to. */
export interface Member {
  readonly owner: string;
  readonly connection: Connection;
}

/** Both with one routing id of their own: bytes that a peer chose are nobody (D70). */
export const OWNERS = ['alice', 'bob'] as const;
const ADDRESSES = ['10.0.0.1', '10.0.0.2'] as const;

export function cast(stage: Stage): Member[] {
  const keyed = OWNERS.flatMap((owner) => [
    { owner, connection: stage.connection(`${owner}1`, { key: owner }) },
    { owner, connection: stage.connection(`${owner}2`, { key: owner, routingId: 'same' }) },
  ]);
  const others = ADDRESSES.map((address) => ({
    owner: address,
    connection: stage.connection(`from ${address}`, { address, routingId: 'same' }),
  }));
  return [...keyed, ...others];
}

/** The words that a body of this owner has in it, and no other's. */
export function secretOf(owner: string): string {
  return `<${owner}>`;
}

export function others(owner: string, members: readonly Member[]): readonly string[] {
  return members.map((each) => each.owner).filter((each) => each !== owner);
}

export function gone(member: Member): boolean {
  return member.connection.peer < 0 || member.connection.closedByBroker;
}

/** A broker that has ended a connection sees it go. */
export function tidy(members: readonly Member[]): void {
  for (const { connection } of members) if (connection.closedByBroker) connection.disconnect();
}

/** Leaves, or comes back. */
export function toggle(member: Member): void {
  if (member.connection.peer < 0) member.connection.connect();
  else member.connection.disconnect();
}

export function someone(members: readonly Member[], script: Script): Member {
  const member = script.pick(members);
  if (gone(member) && member.connection.peer >= 0) member.connection.disconnect();
  if (member.connection.peer < 0) member.connection.connect();
  check(member.connection.peer >= 0, 'it is connected');
  return member;
}
