/** The Guide's own queues, broker and server with our peers: these say what those expect. */
import { temporaryDirectory } from '../../../support/daemon.js';
import { compile, type Program } from '../../support/program.js';
import type { Case } from '../support/case.js';
import type { Place } from '../support/place.js';

const CLIENTS = 'tcp://localhost:5555';
const WORKERS = 'tcp://localhost:5556';
const COUNT = 20;

function replies(count: number, textOf: (number: number) => string): readonly object[] {
  return Array.from({ length: count }, (_, number) => ({
    event: 'reply',
    frames: [textOf(number)],
  }));
}

/** As many replies as requests, and each worker had some. */
async function expectServed(place: Place, ...workers: readonly Program[]): Promise<void> {
  for (const worker of workers) await worker.waitFor('ready');
  const client = place.python('plain_client', CLIENTS, 'req', 'hello', '--count', COUNT);
  expect(await client.finished()).toEqual(replies(COUNT, () => 'hello'));
  // Their output may come after the replies.
  for (const worker of workers) await worker.waitFor('request');
}

async function returns(place: Place): Promise<void> {
  const server = place.program('flserver3');
  const client = place.sdk('freelance-client', CLIENTS);
  client.tell('first');
  await client.waitFor('reply');
  await server.kill();
  client.tell('second');
  place.program('flserver3');
  expect(await client.finished()).toEqual(replies(2, () => 'OK'));
}

export const THEIR_SERVERS: readonly Case[] = [
  {
    programs: ['spqueue'],
    shows: 'serves our plain client by our Simple Pirate in Python',
    run: async (place) => {
      place.program('spqueue');
      await expectServed(place, place.python('pirate_worker', WORKERS, 'simple'));
    },
  },
  {
    programs: ['spqueue'],
    shows: 'serves our plain client by our Simple Pirate in C',
    run: async (place) => {
      place.program('spqueue');
      const path = compile('simple_pirate', temporaryDirectory());
      const worker = place.execute(path, WORKERS, String(COUNT));
      await expectServed(place);
      expect(await worker.finished()).toEqual([{ event: 'done' }]);
    },
  },
  {
    programs: ['ppqueue'],
    shows: 'serves our plain client by our Paranoid Pirates',
    run: async (place) => {
      place.program('ppqueue');
      const kinds = ['paranoid', 'paranoid'];
      await expectServed(
        place,
        ...kinds.map((kind) => place.python('pirate_worker', WORKERS, kind)),
      );
    },
  },
  {
    programs: ['mdbroker'],
    shows: 'serves a client of the SDK, without envelopes, by a worker of the SDK',
    run: async (place) => {
      place.program('mdbroker');
      const ends = place.sdk('sdk-at-mdbroker', CLIENTS, COUNT);
      expect(await ends.finished()).toEqual(replies(COUNT, (number) => `HELLO ${number}`));
    },
  },
  {
    programs: ['flserver3'],
    shows: 'answers FreelanceClient of the SDK, also after it was killed and started again',
    run: returns,
  },
];
