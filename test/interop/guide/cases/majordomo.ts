/** Chapter 4: Majordomo and Titanic. */
import type { Daemon } from '../../../support/daemon.js';
import type { Case } from '../support/case.js';
import { expectPrinted, type Place } from '../support/place.js';

const LISTEN = ['tcp://127.0.0.1:5555'];

/** A broker at the Guide's port, with its worker for `echo`. */
async function echoing(place: Place, ...sets: string[]): Promise<Daemon> {
  const daemon = await place.broker({ listen: LISTEN, sets });
  place.program('mdworker');
  await place.untilWorkers(daemon, 1);
  return daemon;
}

async function expectStored(place: Place): Promise<void> {
  await expectPrinted(place.program('ticlient'), 'Reply: Hello world');
}

export const MAJORDOMO: readonly Case[] = [
  {
    programs: ['mmiecho', 'mdworker'],
    shows: 'mmi.service tells whether the worker is there',
    run: async (place) => {
      const daemon = await place.broker({ listen: LISTEN });
      await expectPrinted(place.program('mmiecho'), 'Lookup echo service: 404');
      place.program('mdworker');
      await place.untilWorkers(daemon, 1);
      await expectPrinted(place.program('mmiecho'), 'Lookup echo service: 200');
    },
  },
  {
    programs: ['mdclient', 'mdworker'],
    shows: '100,000 requests one after the other are answered',
    run: async (place) => {
      await echoing(place);
      await expectPrinted(place.program('mdclient'), '100000 requests/replies processed');
    },
    timeoutMs: 300_000,
  },
  {
    programs: ['mdclient2', 'mdworker'],
    shows: '100,000 requests at once are answered',
    run: async (place) => {
      await echoing(place);
      await expectPrinted(place.program('mdclient2'), '100000 replies received');
    },
    timeoutMs: 300_000,
  },
  {
    programs: ['ticlient', 'mdworker'],
    shows: 'a request that the broker stores is answered',
    run: async (place) => {
      await echoing(place);
      await expectStored(place);
    },
  },
  {
    programs: ['titanic', 'ticlient', 'mdworker'],
    shows: 'the same with the Titanic of the Guide, if titanic.enabled is false',
    run: async (place) => {
      const daemon = await echoing(place, 'titanic.enabled=false');
      place.program('titanic');
      await place.untilWorkers(daemon, 4);
      await expectStored(place);
    },
  },
];
