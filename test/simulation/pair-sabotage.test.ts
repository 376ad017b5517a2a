/** The simulation is only worth what it finds: pairs whose wiring is broken on purpose. */
import { packBatch } from '../../src/store/batch-codec.js';
import type { NodeMerged } from '../../src/store/node-store.js';
import { loosened } from './stored/limits.js';
import { firstFailure } from './actors/first-failure.js';
import type { PairSabotage, PairWorldWeather } from './pair/weather.js';
import { PairWorld } from './pair/world.js';

const NOTHING = packBatch({ tombstones: 'none', changes: [] });
const UNMERGED: NodeMerged = {
  ...{ joined: 0, ranTwice: 0, opened: [], ended: [] },
  parts: [],
};

/** This many cuts and crashes, and no other faults of the pair. */
function restless(weather: PairWorldWeather, cuts: number, crashes: number): PairWorldWeather {
  const others = { returns: 0, pauses: 0, isolations: 0, switchovers: 0, promotions: 0, stalls: 0 };
  return { ...weather, events: { ...others, cuts, crashes } };
}

/** Fast disks and short absences: an answer is soon followed by a query at the other node. */
function prompt(weather: PairWorldWeather): PairWorldWeather {
  const { config } = weather;
  return {
    ...restless(weather, 16, 8),
    replication: 'sync',
    config: { ...config, titanic: { ...config.titanic, replication: 'sync' } },
    linkDelayMaxMs: 5,
    turnDelayMaxMs: 0,
    commitMaxMs: 0,
    crashAfterMax: Infinity,
    failureChance: 0,
    readFailureChance: 0,
    fatalChance: 0,
    downMaxMs: 400,
    wallJumpMs: 0,
  };
}

/** The map has a test of its own. */
function withoutMap(sabotage: PairSabotage): PairSabotage {
  const weather = (made: PairWorldWeather): PairWorldWeather => ({
    ...(sabotage.weather?.(made) ?? made),
    mapPorts: null,
  });
  return { ...sabotage, weather };
}

describe('the simulation of the pair finds', () => {
  it.each<[string, RegExp, PairSabotage, number?]>([
    [
      'an acknowledgement without the confirmation of the peer (D14)',
      /pending again|before its time|was closed|in two ways|answered once/,
      {
        weather: prompt,
        replication: (replication) => {
          const commit = replication.commit.bind(replication);
          replication.commit = (changes, outcome) => {
            commit(changes, outcome);
            return false;
          };
        },
      },
      55,
    ],
    [
      'a merge that is said to be done and is not (D17)',
      /lost|differ|pending|before its time/,
      {
        disk: (disk) => {
          disk.merge = ({ number }, _records, _isFromActive, completion) => {
            disk.commit({ number, tombstones: 'none', holds: null, peerHolds: 0 }, [], {
              done: () => completion.done(UNMERGED),
              failed: (failure) => completion.failed(failure),
            });
          };
          return disk;
        },
      },
    ],
    [
      'closes of a node that is alone which leave no tombstone (D17)',
      /was closed|differ|not in sync/,
      {
        disk: (disk) => {
          const commit = disk.commit.bind(disk);
          disk.commit = (transaction, changes, completion) => {
            commit({ ...transaction, tombstones: 'none' }, changes, completion);
          };
          return disk;
        },
      },
    ],
    [
      'a 400 that asks nobody (D17)',
      /before its time/,
      {
        weather: (weather) => restless(weather, 8, 2),
        replication: (replication) => {
          replication.probe = () => 0;
        },
      },
    ],
    [
      'votes that are not counted (§6)',
      /a vote is decided within its turn/,
      {
        pair: (node) => {
          node.voted = () => undefined;
        },
      },
    ],
    ['an epoch that is not on the disk (D13)', /is led with twice/, { epoch: (before) => before }],
    [
      'a batch that is lost on its way to the peer (D14)',
      /differ|before its time|pending again/,
      {
        replication: (replication) => {
          const message = replication.message.bind(replication);
          let count = 0;
          replication.message = (what) => {
            const isLost = what.kind === 'update' && ++count % 5 === 0;
            message(isLost ? { ...what, batch: NOTHING } : what);
          };
        },
      },
    ],
    [
      'a broker that does not hold its limits',
      /are out, of which|in its bucket/,
      {
        broker: (broker, { limits = null }) => {
          const loose = loosened(limits);
          broker.setServiceLimits(() => loose);
        },
      },
    ],
    [
      'a broker that does not wait for what workers may still run',
      /starts \d+ ms after the broker|in its bucket/,
      {
        broker: (broker) => {
          const begin = broker.begin.bind(broker);
          broker.begin = (now) => begin(now - 1_000_000);
        },
      },
    ],
  ])('%s', (_what, message, sabotage, likely = 1) => {
    expect(
      firstFailure(
        (seed) => new PairWorld(seed, false, withoutMap(sabotage)).run(),
        likely,
        'ERR_INTERNAL',
      ),
    ).toMatch(message);
  });
});

describe('a world of a pair', () => {
  it('holds with fast disks and links, many cuts and crashes', () => {
    for (let seed = 1; seed <= 20; seed++) {
      new PairWorld(seed, false, { weather: prompt }).run();
    }
  });
});
