/** Chapter 4: Freelance. */
import type { Daemon } from '../../../support/daemon.js';
import { until } from '../../../support/until.js';
import type { Program } from '../../support/program.js';
import type { Case } from '../support/case.js';
import { clientsAt, expectPrinted, type Place, printed } from '../support/place.js';

const RUNNING = 'Service is running OK';
const PORTS: readonly number[] = [5555, 5556, 5557];
const ENDPOINTS = PORTS.map((port) => `tcp://localhost:${port}`);

/** Starts a broker with a listener for each of the ports, and a worker for it. */
async function server(
  place: Place,
  ports: readonly number[],
  asked: () => void = () => undefined,
): Promise<Daemon> {
  const daemon = await place.broker({ listen: ports.map(clientsAt) });
  await place.worker(daemon, ({ frames }) => {
    asked();
    return frames;
  });
  return daemon;
}

/** `flclient2` and `flclient3` end in the same way when they give up; only a line says so. */
async function expectAllAnswered(program: Program): Promise<void> {
  const output = await printed(program);
  expect(output).toMatch(/Average round trip cost: \d+ usec$/);
  expect(output).not.toContain('E:');
}

/** Enough that the run has certainly begun. */
const BEFORE_KILL = 500;

/** Three brokers of which the second is killed, and started again. */
async function loseOne(place: Place): Promise<void> {
  const asked = PORTS.map(() => 0);
  const count = (index: number) => () => {
    asked[index] = (asked[index] ?? 0) + 1;
  };
  const brokers: Daemon[] = [];
  for (const [index, port] of PORTS.entries()) {
    brokers.push(await server(place, [port], count(index)));
  }
  const client = place.program('flclient2', ...ENDPOINTS);
  await until(() => asked.every((requests) => requests > BEFORE_KILL), 'requests for all brokers');
  await brokers[1]?.kill();
  const [first = 0] = asked;
  await until(() => (asked[0] ?? 0) > first + BEFORE_KILL, 'requests after the end of a broker');
  const before = asked[1] ?? 0;
  await place.broker({ listen: [clientsAt(5556)], dataDir: brokers[1]?.dataDir ?? '' });
  // Its worker, which this process runs, has connected again.
  await until(() => (asked[1] ?? 0) > before, 'requests for the broker that is back');
  await expectAllAnswered(client);
}

const RUNS = 6;

/**
 * flclient3 repeats an unanswered request at each event. If both replies come together, it takes the
 * second one for the reply to its next request, and aborts at the one after that. It does so in one
 * run of ten, whatever answers it.
 */
const ITS_ASSERTION = "Assertion `!self->request' failed";

async function runModel3(place: Place): Promise<void> {
  for (let run = 1; ; run++) {
    const client = place.program('flclient3');
    try {
      await expectAllAnswered(client);
      return;
    } catch (error) {
      if (run === RUNS || !String(error).includes(ITS_ASSERTION)) throw error;
    }
  }
}

export const FREELANCE: readonly Case[] = [
  {
    programs: ['flclient1'],
    shows: 'is answered by one server',
    run: async (place) => {
      await server(place, [5555]);
      await expectPrinted(place.program('flclient1', ENDPOINTS[0] ?? ''), RUNNING);
    },
  },
  {
    programs: ['flclient1'],
    shows: 'goes on to the third of three servers if that is the only one',
    run: async (place) => {
      await server(place, [5557]);
      const client = place.program('flclient1', ...ENDPOINTS);
      await expectPrinted(client, RUNNING);
      expect(client.said('W: no response from tcp://localhost:5556')).toHaveLength(1);
    },
  },
  {
    programs: ['flclient2'],
    shows: '10,000 requests to one server are answered',
    run: async (place) => {
      await server(place, [5555]);
      await expectAllAnswered(place.program('flclient2', ENDPOINTS[0] ?? ''));
    },
  },
  {
    programs: ['flclient2'],
    shows: '10,000 requests to three servers at once are answered',
    run: async (place) => {
      await server(place, PORTS);
      await expectAllAnswered(place.program('flclient2', ...ENDPOINTS));
    },
  },
  {
    programs: ['flclient2'],
    shows: 'does not notice that one of three brokers is killed and comes back',
    run: loseOne,
  },
  {
    programs: ['flclient3'],
    shows: '10,000 requests to the first of its three servers, the only one, are answered',
    run: async (place) => {
      await server(place, [5555]);
      await runModel3(place);
    },
  },
  {
    programs: ['flclient3'],
    shows: '10,000 requests with three servers are answered',
    run: async (place) => {
      await server(place, PORTS);
      await runModel3(place);
    },
  },
];
