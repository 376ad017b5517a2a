/** The simulation is only worth what it finds: stores and machines that are broken on purpose. */
import type { NodeStore } from '../../src/store/node-store.js';
import type { Change, ChangeResult } from '../../src/store/store.js';
import type { MemoryDisk } from '../support/memory-disk.js';
import type { BrokerHost } from '../../src/broker/ports.js';
import type { Titanic } from '../../src/titanic/machine/titanic.js';
import { asker } from '../support/asker.js';
import { firstFailure } from './actors/first-failure.js';
import { loosened } from './stored/limits.js';
import { type StoredSabotage, StoredWorld } from './stored/world.js';
import type { NodeSabotage } from './world/node.js';

/** The fault occurs once per this many changes. */
const EVERY = 5;
const DONE: ChangeResult = { kind: 'done' };

/** What is stored instead of a change; `null`: nothing, though it is said to be done. */
type Write = (change: Change, isTime: boolean, disk: MemoryDisk) => Change | null;

function commits(broken: (commit: NodeStore['commit']) => NodeStore['commit']): NodeSabotage {
  return {
    disk: (store) => {
      store.commit = broken(store.commit.bind(store));
      return store;
    },
  };
}

function writes(write: Write): NodeSabotage {
  return {
    disk: (store, disk) => {
      const commit = store.commit.bind(store);
      let count = 0;
      store.commit = (transaction, changes, completion) => {
        const written = changes.map((change) => write(change, ++count % EVERY === 0, disk));
        const kept = written.filter((change) => change !== null);
        commit(transaction, kept, {
          done: (results) => {
            const left = [...results];
            completion.done(written.map((change) => (change && left.shift()) ?? DONE));
          },
          failed: (failure) => completion.failed(failure),
        });
      };
      return store;
    },
  };
}

/** Reports success, and sometimes did nothing. */
function forgets(kind: Change['kind']): NodeSabotage {
  return writes((change, isTime) => (change.kind === kind && isTime ? null : change));
}

const ignore = (): void => undefined;

/** Does something else with the answers to `titanic.*`. */
function answers(
  broken: (host: BrokerHost, titanic: Titanic) => Partial<BrokerHost>,
): NodeSabotage {
  return {
    titanic: (titanic) => {
      const run = titanic.run.bind(titanic);
      titanic.run = (now, wall, host, broker) => {
        const right: BrokerHost = {
          answer: (id, body) => host.answer(id, body),
          part: (id, body) => host.part(id, body),
          refuse: (id, why, text) => host.refuse(id, why, text),
          recordHello: (id, hello) => host.recordHello(id, hello),
          resume: (id, ids, answer) => host.resume(id, ids, answer),
          cancel: (id, ids, at) => host.cancel(id, ids, at),
        };
        run(now, wall, { ...right, ...broken(host, titanic) }, broker);
      };
    },
  };
}

/** A broker that closes a call as soon as it has written its reply. */
function closesCalls(): NodeSabotage {
  const uuids = new Map<number, Buffer>();
  return answers((host, titanic) => ({
    part: (id, body) => {
      uuids.set(id, Buffer.from(String(body[1]), 'hex'));
      host.part(id, body);
    },
    answer: (id, body) => {
      const uuid = uuids.get(id);
      uuids.delete(id);
      host.answer(id, body);
      const isReply = uuid !== undefined && body[0]?.toString() === '200';
      if (isReply) titanic.operatorHost().requests.close(uuid, ignore);
    },
  }));
}

/** Less than a step of the clock. */
const CREEP_MS = 4000;

/** Too far to creep there. */
function isFar(ms: number): boolean {
  return Math.abs(ms) > 10_000_000;
}

/** Clients cannot send a key that begins with this byte. */
function isOfFiring({ key }: { readonly key: Buffer | null }): boolean {
  return key?.[0] === 0xff;
}

describe('the simulation finds', () => {
  it.each<[string, RegExp, StoredSabotage, number?]>([
    [
      'a request that was acknowledged and not stored',
      /is lost|before its time|what is out/,
      forgets('accept'),
    ],
    ['a close that was acknowledged and not stored', /was closed/, forgets('close')],
    [
      'a reply that was shown and not stored',
      /pending again|not over|before its time/,
      forgets('reply'),
    ],
    [
      'an attempt that was not stored',
      /dead before its last attempt/,
      writes((change) => (change.kind === 'attempt' ? null : change)),
    ],
    [
      'a key that stores twice',
      /twice under one key/,
      writes((change) =>
        change.kind === 'accept' && !isOfFiring(change) ? { ...change, key: null } : change,
      ),
    ],
    [
      'a firing of a schedule that is stored without its key',
      /no request is stored for/,
      writes((change) =>
        change.kind === 'accept' && isOfFiring(change) ? { ...change, key: null } : change,
      ),
      45,
    ],
    [
      'a batch that is half on the disk',
      /is kept|is lost|before its time|not over/,
      commits((commit) => (transaction, changes, completion) => {
        commit(transaction, changes, {
          done: (results) => completion.done(results),
          failed: (failure) => {
            commit(transaction, changes.slice(0, 1), { done: ignore, failed: ignore });
            completion.failed(failure);
          },
        });
      }),
    ],
    [
      'a reply that is stored for another request',
      /reply of another|pending again/,
      writes((change, _isTime, disk) => {
        const other = disk.entries.find(({ request }) => request.state === 'pending');
        return change.kind === 'reply' && other ? { ...change, uuid: other.request.uuid } : change;
      }),
    ],
    // (The last: a worker has a request that no service of the store has.)
    ['a 200 before the commit', /is lost|before its time|what is out/, writes(() => null)],
    [
      'a machine that does not hear of lost workers',
      /not over|is not/,
      {
        titanic: (titanic) => {
          titanic.failed = () => {};
        },
      },
    ],
    [
      'a call that is answered without its receipt (D122)',
      /without a receipt/,
      answers(() => ({ part: ignore })),
    ],
    [
      'a call that is answered before its request is stored (D122)',
      /is lost|before its time|what is out|without a receipt/,
      writes((change) => (change.kind === 'accept' ? null : change)),
    ],
    [
      'a broker that closes a call because it has answered it (D122)',
      /unknown before its time|is lost/,
      closesCalls(),
    ],
    [
      'a request that is stored as that of nobody',
      /is stored as that of anonymous/,
      writes((change) =>
        change.kind === 'accept'
          ? { ...change, request: { ...change.request, owner: 'anonymous' } }
          : change,
      ),
    ],
    [
      'a close that does not ask whose it is',
      /is lost|before its time/,
      writes((change) => (change.kind === 'close' ? { ...change, by: '' } : change)),
    ],
    [
      'a machine that shows a stranger what another stored',
      /which is another's/,
      {
        titanic: (titanic) => {
          const request = titanic.request.bind(titanic);
          titanic.request = (asked) => {
            const { identity, owner, quotas } = asked.asker;
            request({ ...asked, asker: asker({ identity, owner, quotas, isOperator: true }) });
          };
        },
      },
    ],
    [
      'a machine that does not see that the clock is set (D110)',
      /the clock was set|before its time/,
      {
        titanic: (titanic) => {
          const setTime = titanic.setTime.bind(titanic);
          let offset: number | null = null;
          titanic.setTime = (now, wall) => {
            offset ??= wall - now;
            // It creeps there.
            while (Math.abs(wall - now - offset) > CREEP_MS && !isFar(wall - now - offset)) {
              offset += Math.sign(wall - now - offset) * CREEP_MS;
              setTime(now, now + offset);
            }
            offset = wall - now;
            setTime(now, wall);
          };
        },
      },
      37,
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
    [
      'requests of a group that are sent out of order',
      /which was accepted earlier/,
      {
        weather: (weather) => ({ ...weather, limits: null }),
        broker: (broker) => {
          const { storedDeliveries } = broker;
          const submit = storedDeliveries.submit.bind(storedDeliveries);
          storedDeliveries.submit = (name, reference, content, again) => {
            const group = Buffer.from(`${content.group?.toString() ?? ''}${reference % 2}`);
            return submit(name, reference, { ...content, group }, again);
          };
        },
      },
    ],
  ])('%s', (_what, message, sabotage, likely = 1) => {
    expect(firstFailure((seed) => new StoredWorld(seed, false, sabotage).run(), likely)).toMatch(
      message,
    );
  });
});
