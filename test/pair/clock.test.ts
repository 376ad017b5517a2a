import { temporaryDirectory } from '../support/daemon.js';
import { pairOfDaemons, removePairs, ROLES, startPairOfDaemons } from '../support/pair-daemons.js';
import { PairLoad } from '../support/pair-load.js';
import { expectNothingLost } from '../support/pair-proof.js';
import { itWithTool } from '../support/tools.js';
import { compileClock, WrongClock } from '../support/wrong-clock.js';

const HOUR = 3600;

const loads: PairLoad[] = [];

afterEach(async () => {
  await Promise.all(loads.splice(0).map((load) => load.close()));
  await removePairs();
});

describe('a pair whose wall clocks are changed (D19)', () => {
  itWithTool(
    'gcc and libzmq3-dev',
    'forward and back by hours, one node after the other: nobody fails over, nothing is lost',
    async () => {
      const library = compileClock(temporaryDirectory());
      const clocks = ROLES.map(() => new WrongClock(library, temporaryDirectory()));
      const [primary, backup] = clocks.map(({ environment }) => environment);
      const pair = await startPairOfDaemons({
        heartbeatIntervalMs: 5000,
        environmentOf: { primary: primary ?? {}, backup: backup ?? {} },
      });
      const load = new PairLoad(pair.endpoints);
      loads.push(load);
      load.start();
      await load.progress();
      const active = await pair.inSync();
      const changes = pair.logged('ha.changed').length;
      for (const hours of [12, -12, 0]) {
        for (const clock of clocks) {
          clock.set(hours * HOUR);
          await load.progress();
        }
      }
      expect(await pair.inSync()).toBe(active);
      expect(pair.logged('ha.changed')).toHaveLength(changes);
      expect(pair.logged('ha.paused')).toEqual([]);
      // The clocks really were wrong: the history shows their times.
      clocks[0]?.set(12 * HOUR);
      const node = pair.node('primary');
      const told = node.logged('ha.changed').length;
      await pair.switchedOver(active);
      const { time } = await node.waitFor('ha.changed', told + 1);
      const at = Date.parse(String(time));
      expect(at - Date.now()).toBeGreaterThan(11 * HOUR * 1000);
      clocks[0]?.set(0);
      await expectNothingLost(pair, load);
    },
  );
});

describe('a start (D19)', () => {
  it('of a primary without its backup is not taken for a stall, though it takes longer than a heartbeat', async () => {
    // A busy machine alone may stall it for that long, but not at each start.
    let pauses = 1;
    for (let starts = 0; pauses > 0 && starts < 5; starts++) {
      const pair = await pairOfDaemons({ heartbeatIntervalMs: 450 });
      const primary = await pair.start('primary');
      await pair.until('primary', 'waiting', ({ state }) => state === 'waiting');
      pauses = primary.logged('ha.paused').length;
    }
    expect(pauses).toBe(0);
  });
});
