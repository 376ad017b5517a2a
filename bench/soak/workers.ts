/** The workers: one of all services that stays, and others that come and go. A guest is killed after a while. */
import { setTimeout as pause } from 'node:timers/promises';

import { Worker } from '../../src/sdk/worker.js';
import type { Handler } from '../../src/sdk/worker/handler.js';
import { silent } from '../../test/support/silent.js';
import { KINDS } from './checker.js';
import { standOf, Voice } from './voice.js';

const COMING_MS = 2000;
const STAY_MS = 5000;
/** Every fiftieth durable request takes long, so that some are at workers whatever happens. */
const LONG_EVERY = 50;
const LONG_MS = 2000;

const stand = standOf();
const voice = new Voice();
let replies = 0;

const echo: Handler = ({ frames }) => frames;

/** Which execution has answered is in the reply. */
const jobs: Handler = async (request) => {
  const [name = '', digits = ''] = request.text().split(' ');
  const kind = KINDS.find((each) => each === name);
  const number = Number(digits);
  if (kind === undefined) throw new Error(`a request that nobody has sent: ${name}`);
  voice.ran(kind, number);
  await pause(number % LONG_EVERY === 0 ? LONG_MS : Math.random() * 10);
  return `${kind} ${number} by ${process.pid}.${++replies}`;
};

async function* parts(): AsyncGenerator<string, string> {
  for (const part of ['one', 'two']) {
    yield part;
    await pause(20);
  }
  return 'three';
}

function serve(services: Readonly<Record<string, Handler>>, concurrency: number): Worker {
  const worker = silent(new Worker({ endpoints: stand.endpoints, services, concurrency }));
  void worker.run();
  return worker;
}

async function comeAndGo(): Promise<void> {
  while (!voice.isOver) {
    const worker = serve({ echo, jobs }, 4);
    const ends = pause(STAY_MS).then(() => worker.close());
    ends.catch(() => voice.wrong('a worker does not close'));
    await pause(COMING_MS);
  }
}

if (stand.isGuest) {
  serve({ echo, jobs }, 4);
} else {
  serve({ echo, jobs, parts, ticks: () => 'done' }, 32);
  void comeAndGo();
}
