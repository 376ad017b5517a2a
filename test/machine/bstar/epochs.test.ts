import fc from 'fast-check';

import { EPOCH_END } from '../../../src/bstar/epochs.js';
import type { PeerMessage } from '../../../src/wire/pair.js';
import { PairStage } from '../../support/pair-stage.js';

const DEAD_MS = 2100;
const HOLDS = { storeId: Buffer.alloc(16, 9), upTo: 1, bodiesUpTo: 1 };

function claims(epoch: number): PeerMessage[] {
  const states = ['waiting', 'passive', 'joining', 'active'] as const;
  const number = 1;
  return [
    ...states.map(
      (state) =>
        ({
          kind: 'status',
          state,
          epoch,
          offers: true,
          holds: null,
          keys: null,
          listenerKeys: null,
        }) as const,
    ),
    { kind: 'join', epoch, holds: HOLDS },
    { kind: 'records', epoch, index: 1, isLast: true, holds: HOLDS, records: Buffer.alloc(1) },
    { kind: 'update', epoch, number, holdsUpTo: 1, batch: Buffer.alloc(1) },
    { kind: 'confirm', epoch, number, became: 1 },
    { kind: 'probe', epoch, number },
  ];
}

describe('an epoch that no peer can have (D79)', () => {
  const tooHigh = fc.oneof(
    fc.integer({ min: EPOCH_END, max: Number.MAX_SAFE_INTEGER }),
    fc.integer({ min: 2 ** 12 + 10, max: EPOCH_END - 1 }),
    fc.constantFrom(EPOCH_END, 2 ** 53 - 2, 2 ** 53 - 1),
  );

  it.each(['primary', 'backup'] as const)('changes nothing at the %s', (role) => {
    fc.assert(
      fc.property(tooHigh, fc.nat(8), (epoch, which) => {
        const stage = PairStage.inSync();
        const node = stage[role];
        const before = { ...node.machine.facts };
        const written = [...node.epochs];
        const message = claims(epoch)[which];
        if (message === undefined) return;
        expect(node.machine.objectionTo(message)?.code).toBe('epoch');
        node.machine.message(message);
        expect(node.machine.facts).toEqual(before);
        expect(node.epochs).toEqual(written);
        stage.pass(5000);
        expect([stage.primary.state, stage.backup.state]).toEqual(['active', 'passive']);
      }),
      { numRuns: 100 },
    );
  });

  it('is followed up to 2^12 above what this node knows', () => {
    const stage = PairStage.inSync();
    const { machine } = stage.primary;
    const known = machine.facts.seenEpoch;
    const status = (epoch: number): PeerMessage => ({
      kind: 'status',
      state: 'active',
      epoch,
      offers: false,
      holds: null,
      keys: null,
      listenerKeys: null,
    });
    expect(machine.objectionTo(status(known + 2 ** 12 + 1))?.code).toBe('epoch');
    expect(machine.objectionTo(status(known + 2 ** 12))).toBeNull();
    machine.message(status(known + 2 ** 12));
    expect(stage.primary.state).toBe('passive');
  });

  it('a node with a new disk takes the word of a peer that has its key, and of no other', () => {
    for (const isSealed of [true, false]) {
      const stage = new PairStage({ isSealed });
      stage.backup.disk = { epoch: 9000, wasActive: true };
      stage.backup.start();
      stage.pass(DEAD_MS);
      stage.backup.ask();
      stage.pass(10);
      expect(stage.backup.state).toBe('active');
      stage.primary.start();
      stage.pass(1000);
      expect(stage.primary.state).toBe(isSealed ? 'passive' : 'waiting');
    }
  });

  it('a node whose epochs are used up never leads again, and says so', () => {
    const stage = new PairStage();
    stage.primary.disk = { epoch: EPOCH_END - 2, wasActive: true };
    stage.primary.start();
    stage.pass(DEAD_MS);
    expect(stage.primary.ask()).toBe('refused');
    expect(stage.primary.machine.promote()).toMatch(/no epoch is left/);
    stage.pass(DEAD_MS);
    expect(stage.primary.epochs).toEqual([]);
    expect(stage.primary.state).toBe('waiting');
  });
});
