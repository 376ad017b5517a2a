/** The messages about claims between the main thread and the thread of a store, packed. */
import type { PackReader, PackWriter } from '../../core/packing.js';
import { putRequest, requestFrom } from '../request.js';
import type { ClaimedRequest, ClaimOrder } from '../store.js';
import { packBodies, packUuids, unpackBodies, unpackUuids } from './messages.js';

export function packClaimOrder(to: PackWriter, { wanted, released, known }: ClaimOrder): void {
  to.number(wanted.length);
  for (const { service, most } of wanted) {
    to.bytes(service);
    to.number(most);
  }
  to.number(released.length);
  for (const { uuid, claim } of released) {
    to.bytes(uuid);
    to.number(claim);
  }
  to.byte(known === null ? 0 : 1);
  if (known !== null) packUuids(to, known);
}

// Members of an object literal are evaluated in the order in which they are written here.
export function unpackClaimOrder(from: PackReader): ClaimOrder {
  return {
    wanted: Array.from({ length: from.number() }, () => ({
      service: from.bytes(),
      most: from.number(),
    })),
    released: Array.from({ length: from.number() }, () => ({
      uuid: from.bytes(),
      claim: from.number(),
    })),
    known: from.byte() === 0 ? null : unpackUuids(from),
  };
}

export function packClaimed(to: PackWriter, claimed: readonly ClaimedRequest[]): void {
  to.number(claimed.length);
  for (const { request, claim } of claimed) {
    putRequest(to, request);
    to.number(claim);
  }
  packBodies(
    to,
    claimed.map(({ content }) => content),
  );
}

export function unpackClaimed(from: PackReader): ClaimedRequest[] {
  const claims = Array.from({ length: from.number() }, () => ({
    request: requestFrom(from),
    claim: from.number(),
  }));
  const bodies = unpackBodies(from);
  return claims.map(({ request, claim }, at) => ({ request, claim, content: bodies[at] ?? null }));
}
