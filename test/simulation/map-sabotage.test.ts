/** The simulation is only worth what it finds: maps that are broken on purpose. */
import { Frames } from '../../src/core/frames.js';
import type { OpenMapPorts } from '../../src/extensions/map/host.js';
import { isDeletion } from '../../src/extensions/map/machine/record.js';
import { KEY } from '../../src/wire/chp-client.js';
import { firstFailure } from './actors/first-failure.js';
import type { SimMapPorts } from './map/ports.js';
import { MapOnlyWorld } from './map/world.js';
import { mapped, type PairSabotage } from './pair/weather.js';
import { PairWorld } from './pair/world.js';
import type { NodeSabotage } from './world/node.js';

/** The frame of a record's number. */
const NUMBER = 1;

/** Changes what one of the ports' effects does. */
function effect<Name extends 'publish' | 'snapshot'>(
  name: Name,
  change: (carryOut: OpenMapPorts[Name]) => OpenMapPorts[Name],
): (ports: SimMapPorts) => void {
  return (ports) => {
    const open = ports.open.bind(ports);
    ports.open = () => {
      const opened = open();
      return { ...opened, [name]: change(opened[name]) };
    };
  };
}

function keyOf(frames: Frames): string {
  return frames.view(KEY).toString();
}

describe('the simulation of a map finds', () => {
  it.each<[string, RegExp, NodeSabotage]>([
    [
      'changes that are shown and not stored (D50)',
      /not on a disk/,
      { changes: (changes) => changes.slice(1) },
    ],
    [
      'the end of a key that is shown and not stored (D51)',
      /not on a disk/,
      {
        changes: (changes) => changes.filter((change) => !isDeletion(change) || change.uuid !== ''),
      },
    ],
    ['an epoch that a start does not raise (D48)', /\(D48\)/, { mapEpoch: () => 1 }],
    [
      'keys that end before their time (D51)',
      // Uuids are forgotten before their time, too.
      /expires too early|changed twice/,
      {
        map: ({ machine }) => {
          const run = machine.run.bind(machine);
          machine.run = (now) => run(now + 900);
        },
      },
    ],
    [
      'keys that never end (D51)',
      /although .* is dead/,
      {
        map: ({ machine }) => {
          const kvset = machine.kvset.bind(machine);
          machine.kvset = (writer, frames, now) => {
            const [key = '', number = '', uuid = '', , value = ''] = frames.copyFrom(0);
            kvset(writer, Frames.of(key, number, uuid, '', value), now);
          };
        },
      },
    ],
    [
      'a snapshot without some of its keys (D49)',
      /is lost|not settled/,
      {
        ports: effect('snapshot', (carryOut) => (peer, frames) => {
          if (keyOf(frames) !== '/b/1') carryOut(peer, frames);
        }),
      },
    ],
    [
      'a snapshot whose number is too high (D49)',
      /not settled|although .* is dead/,
      {
        ports: effect('snapshot', (carryOut) => (peer, frames) => {
          const copy = frames.copyFrom(0);
          const number = copy[NUMBER];
          if (keyOf(frames) === 'KTHXBAI' && number !== undefined) {
            number.writeUInt32BE(number.readUInt32BE(4) + 1000, 4);
          }
          carryOut(peer, Frames.of(...copy));
        }),
      },
    ],
    [
      'updates that are lost on their way (D43)',
      /not settled|too early/,
      {
        ports: effect('publish', (carryOut) => {
          let count = 0;
          return (frames) => {
            if (keyOf(frames) === 'HUGZ' || ++count % 7 !== 0) carryOut(frames);
          };
        }),
      },
    ],
    [
      'updates in another order (D48)',
      /\(D48\)/,
      {
        ports: effect('publish', (carryOut) => {
          let held: Frames | null = null;
          return (frames) => {
            const before = held;
            held = null;
            if (before === null && keyOf(frames) === 'a') held = Frames.of(...frames.copyFrom(0));
            else carryOut(frames);
            if (before !== null) carryOut(before);
          };
        }),
      },
    ],
    [
      'HUGZ for nobody (D52)',
      /not settled/,
      {
        ports: effect('publish', (carryOut) => (frames) => {
          if (keyOf(frames) !== 'HUGZ') carryOut(frames);
        }),
        map: ({ machine }) => {
          machine.subscribed = () => undefined;
        },
      },
    ],
  ])('%s', (_what, message, sabotage) => {
    expect(
      firstFailure((seed) => new MapOnlyWorld(seed, false, sabotage).run(), 1, 'ERR_INTERNAL'),
    ).toMatch(message);
  });
});

describe('the simulation of a pair with a map finds', () => {
  it.each<[string, RegExp, PairSabotage, number?]>([
    [
      'an acknowledgement without the confirmation of the peer (D50)',
      /not on a disk|is lost/,
      {
        replication: (replication) => {
          const replicaOf = replication.partReplica.bind(replication);
          replication.partReplica = (part) => {
            const replica = replicaOf(part);
            const commit = replica.commit.bind(replica);
            return Object.assign(replica, {
              commit: (...given: Parameters<typeof commit>) => {
                commit(...given);
                return false;
              },
            });
          };
        },
      },
    ],
    [
      'a node that steps down and goes on publishing (D53)',
      /does not lead/,
      {
        map: (map) => {
          map.deactivate = () => undefined;
        },
      },
    ],
    [
      'changes of the active node that the other one does not take into its map (D53)',
      /is lost|not settled|goes back/,
      {
        map: ({ machine }) => {
          machine.followed = () => undefined;
        },
      },
    ],
    [
      'what a merge brings, and the map does not take (D54)',
      // Or it renews what it still has, and the disk no longer.
      /is lost|not settled|not on a disk|goes back/,
      {
        map: ({ machine }) => {
          machine.merged = () => undefined;
        },
      },
      67,
    ],
    [
      'numbers below those that a merge has brought (D54)',
      /is lost|not settled|given twice/,
      {
        map: ({ machine }) => {
          machine.numbersAbove = () => undefined;
        },
      },
      202,
    ],
  ])('%s', (_what, message, sabotage, likely = 1) => {
    expect(
      firstFailure(
        (seed) => new PairWorld(seed, false, { weather: mapped, ...sabotage }).run(),
        likely,
        'ERR_INTERNAL',
      ),
    ).toMatch(message);
  });
});
