/** Names of services, and topics, that were made to collide in the tables of a broker. */
import { readFileSync } from 'node:fs';

import { cleanUp } from '../process/broker/support.js';
import {
  collidingNames,
  collidingTopics,
  nameAll,
  Site,
  subscribeAll,
} from '../support/attacks.js';
import { COLLIDING_SETS } from '../support/collisions.js';
import { LONG_TEST_MS } from '../support/patience.js';
import { itWithTool } from '../support/tools.js';
import { Siege } from './siege.js';

const KEYS = 8000;
/** What is collected as garbage now and then, and what the set before left behind, counts, too. */
const TIMES_MAX = 8;

/** Processor time of the broker's main thread so far, in nanoseconds. */
function workOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[0]);
}

describe('names and topics of which each set collides for some start of a hash', () => {
  afterEach(cleanUp);

  itWithTool(
    'python3-zmq',
    'are as much work as others, set by set, and a well-behaved client is served beside them',
    async () => {
      const siege = await Siege.begin('events.listen=tcp://127.0.0.1:0');
      const { endpoint, daemon } = siege;
      const [{ events } = {}] = daemon.logged('broker.ready');
      const site = new Site(String(events), '127.0.0.2', { count: 1, serverKey: '', endpoint });
      const work: number[] = [];
      for (let set = 0; set < COLLIDING_SETS; set++) {
        const before = workOf(daemon.pid);
        await nameAll(site, collidingNames(set, KEYS));
        await subscribeAll(site, collidingTopics(set, KEYS));
        work.push(workOf(daemon.pid) - before);
        if (set % 64 === 0) await siege.served();
      }
      work.sort((left, right) => left - right);
      const [median = 0, most = Infinity] = [work[COLLIDING_SETS / 2], work.at(-1)];
      expect(most / median).toBeLessThan(TIMES_MAX);
      expect(daemon.logged('worker.lost')).toEqual([]);
      await siege.end();
    },
    LONG_TEST_MS,
  );
});
