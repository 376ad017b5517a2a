import { describeStoreSteps } from './store-contract-steps.js';
import { describeStoreKeys } from './store-contract-keys.js';
import { describeOwnersOfPair, describeStoreOwners } from './store-contract-owners.js';
import { describeStorePair } from './store-contract-pair.js';
import { describeStoreReading } from './store-contract-reading.js';
import { describeServicesOfPair, describeStoreServices } from './store-contract-services.js';
import { eachWithStore, type StorePlace, type StoreSubject } from './store-subject.js';
import { type OpenStore, StoreUser } from './store-user.js';

export type Subject = StoreSubject<StoreUser>;

/** What not every store does. */
export interface ContractOptions {
  /** It is a `PairStore`. */
  readonly isOfPair: boolean;
  /**
   * Several brokers share it: it numbers requests by its own clock, not from 1, and what no broker has
   * claimed expires in a sweep.
   */
  readonly isShared: boolean;
}

/**
 * What every store behind `src/store/store.ts` promises.
 */
export function describeStoreContract(
  name: string,
  make: () => Promise<StorePlace<OpenStore>>,
  { isOfPair, isShared }: ContractOptions = { isOfPair: true, isShared: false },
): void {
  describe(`${name} as a store`, () => {
    const subject = eachWithStore(make, StoreUser.open);

    it('has nothing when it is new, and numbers begin at 1', () => {
      const { user } = subject;
      const { pending, replied, dead } = user.recovered.counts;
      expect({ pending, replied, dead }).toEqual({ pending: 0, replied: 0, dead: 0 });
      expect(user.recovered.counts.nextNumber).toBe(1);
      expect(user.pending).toEqual([]);
    });

    describe('steps up the ladder (D17)', () => describeStoreSteps(subject, isShared));
    describe('idempotency keys (D16)', () => describeStoreKeys(subject, isShared));
    describe('owners (D70, D71)', () => describeStoreOwners(subject));
    describe('services', () => describeStoreServices(subject));
    if (isOfPair) {
      describe('as one of a pair (D14, D17, D20)', () => {
        describeStorePair(subject);
        describeServicesOfPair(subject);
        describe('owners', () => describeOwnersOfPair(subject));
      });
    }
    describe('reading and opening', () => describeStoreReading(subject, isShared));
  });
}
