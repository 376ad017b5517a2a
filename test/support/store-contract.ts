import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import type { OpenNodeStore } from '../../src/store/node-store.js';
import { describeStoreSteps } from './store-contract-steps.js';
import { describeStoreKeys } from './store-contract-keys.js';
import { describeStoreOwners } from './store-contract-owners.js';
import { describeStorePair } from './store-contract-pair.js';
import { describeStoreReading } from './store-contract-reading.js';
import { describeStoreServices } from './store-contract-services.js';
import { StoreUser } from './store-user.js';

/** The place of a store between two openings. */
export interface StorePlace {
  readonly open: OpenNodeStore;
  /** Removes it. */
  remove(): Promise<void>;
}

/** A store that a test uses and may open again. */
export interface Subject {
  readonly user: StoreUser;
  reopen(): Promise<StoreUser>;
  /** Another store of the same kind, empty. */
  other(): Promise<StoreUser>;
}

/** What every store behind `src/titanic/store/store.ts` promises. */
export function describeStoreContract(name: string, make: () => Promise<StorePlace>): void {
  describe(`${name} as a store`, () => {
    let place: StorePlace;
    let user: StoreUser;
    const others: { readonly place: StorePlace; readonly user: StoreUser }[] = [];
    const subject: Subject = {
      get user() {
        return user;
      },
      reopen: async () => {
        await user.close();
        user = await StoreUser.open(place.open);
        return user;
      },
      other: async () => {
        const otherPlace = await make();
        const other = { place: otherPlace, user: await StoreUser.open(otherPlace.open) };
        others.push(other);
        return other.user;
      },
    };

    beforeEach(async () => {
      place = await make();
      user = await StoreUser.open(place.open);
    });

    afterEach(async () => {
      await user.close();
      await place.remove();
      for (const other of others.splice(0)) {
        await other.user.close();
        await other.place.remove();
      }
    });

    it('has nothing when it is new, and numbers begin at 1', () => {
      const { pending, replied, dead } = user.recovered.counts;
      expect({ pending, replied, dead }).toEqual({ pending: 0, replied: 0, dead: 0 });
      expect(user.recovered.counts.nextNumber).toBe(1);
      expect(user.pending).toEqual([]);
    });

    describe('steps up the ladder (D17)', () => {
      describeStoreSteps(subject);
    });
    describe('idempotency keys (D16)', () => {
      describeStoreKeys(subject);
    });
    describe('owners (D70, D71)', () => {
      describeStoreOwners(subject);
    });
    describe('services', () => {
      describeStoreServices(subject);
    });
    describe('as one of a pair (D14, D17, D20)', () => {
      describeStorePair(subject);
    });
    describe('reading and opening', () => {
      describeStoreReading(subject);
    });
  });
}
