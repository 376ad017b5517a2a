/** The simulation is only worth what it finds: fleets that are broken on purpose. */
import { RemoteWorkers } from '../../src/broker/inputs/remote-workers.js';
import { PackNumbers } from '../../src/extensions/fleet/machine/pack-numbers.js';
import { OutgoingRequests } from '../../src/extensions/fleet/machine/outgoing-requests.js';
import { Holder } from '../../src/extensions/fleet/machine/peer.js';
import { firstFailure } from './actors/first-failure.js';
import { Tally } from './actors/tally.js';
import { runFleetSeed } from './fleet/seeds.js';

const mends: (() => void)[] = [];

afterEach(() => {
  for (const mend of mends.splice(0)) mend();
});

/** Replaces a method of a class until the end of the test. */
function breaks<T extends object, Name extends keyof T>(
  prototype: T,
  name: Name,
  broken: (original: T[Name]) => T[Name],
): void {
  const original = prototype[name];
  prototype[name] = broken(original);
  mends.push(() => {
    prototype[name] = original;
  });
}

function found(): string {
  return firstFailure((seed) => runFleetSeed(seed, new Tally()), 1, 'ERR_INTERNAL');
}

describe('the simulation of a fleet finds', () => {
  it('brokers that take repeated packs for new ones (D85)', () => {
    breaks(PackNumbers.prototype, 'fault', () => () => null);
    expect(found()).toMatch(/runs once for each pack|runs at most|waits for ever/);
  });

  it('holders that take more than their workers can (D84)', () => {
    breaks(RemoteWorkers.prototype, 'localCredit', () => () => ({
      free: 100,
      total: 100,
      isQueued: false,
    }));
    expect(found()).toMatch(/no more waits at a holder|waits for ever/);
  });

  it('origins that do not miss what no list names (D85)', () => {
    breaks(
      OutgoingRequests.prototype,
      'listed',
      () =>
        function (peer, _tokens, _remote, now) {
          peer.listedAt = now;
        },
    );
    expect(found()).toMatch(/waits for ever|is left at|is out at others|are out at others/);
  });

  it('origins that do not notice a silent holder (D85)', () => {
    breaks(OutgoingRequests.prototype, 'isSilent', () => () => false);
    expect(found()).toMatch(/waits for ever|left at|out at others/);
  });

  it('origins without back-pressure (D86)', () => {
    breaks(Holder.prototype, 'takes', () => () => true);
    expect(found()).toMatch(/at most 8 MiB/);
  });
});
