/** The clients: plain requests, durable ones, a map, and others that come and go. A guest is killed after a while. */
import { setTimeout as pause } from 'node:timers/promises';

import { codeOf, messageOf } from '../../src/core/errors.js';
import { Client } from '../../src/sdk/client.js';
import type { Job } from '../../src/sdk/client.js';
import { contentOf, MapLoad } from '../../test/support/map-load.js';
import { until } from '../../test/support/until.js';
import { isHooked, standOf, Voice } from './voice.js';

const PLAIN_LANES = 16;
const PLAIN_MS = 60;
const DURABLE_LANES = 12;
const DURABLE_MS = 150;
const COMING_MS = 500;
const MAP_MS = 400;
/** Of a call; more than that, and what timers of a busy machine are late, is too late. */
const CALL_MS = 10_000;
const SLACK_MS = 10_000;
/** A durable request has its result by then, whatever happens. */
const PATIENCE_MS = 120_000;
const AGAIN_MS = 100;
/** What a plain request may end with, other than a reply. */
const PLAIN_ERRORS = ['ERR_MDP_TIMEOUT', 'ERR_MDP_UNREACHABLE', 'ERR_MDP_REFUSED', 'ERR_MDP_LIMIT'];
const DURABLE_ERRORS = [...PLAIN_ERRORS, 'ERR_TITANIC_PENDING', 'ERR_TITANIC_REFUSED'];

const stand = standOf();
const voice = new Voice();
const client = new Client({ endpoints: stand.endpoints });
let number = 0;

async function plain(by: Client, text: string): Promise<void> {
  const began = performance.now();
  try {
    const reply = (await by.request('echo', text)).text();
    if (reply !== text) voice.wrong(`the reply to ${text} is ${reply}`);
    voice.answered();
    voice.count('plain requests');
  } catch (error) {
    const code = codeOf(error) ?? '';
    if (!PLAIN_ERRORS.includes(code)) voice.wrong(`a plain request: ${code} ${messageOf(error)}`);
    voice.count(`plain requests: ${code}`);
  }
  const tookMs = performance.now() - began;
  if (tookMs > CALL_MS + SLACK_MS) voice.wrong(`a plain request took ${Math.round(tookMs)} ms`);
}

/** Does it again until it is done: what fails meanwhile is documented to be tried again. */
async function again<Done>(what: string, step: () => Promise<Done>): Promise<Done> {
  const began = performance.now();
  for (;;) {
    try {
      return await step();
    } catch (error) {
      const code = codeOf(error) ?? '';
      const isOver = performance.now() - began > PATIENCE_MS;
      if (!DURABLE_ERRORS.includes(code) || isOver) {
        throw new Error(`${what}: ${code} ${messageOf(error)}`, { cause: error });
      }
      voice.count(`durable requests, tried again: ${code}`);
      await pause(AGAIN_MS);
    }
  }
}

/** The whole life of a durable request. */
async function durable(): Promise<void> {
  const own = ++number;
  const name = `sdk ${own}`;
  const body = `${name} ${'x'.repeat(own % 1000)}`;
  const webhook = isHooked(own) ? { webhook: `${stand.hooks}/sdk/${own}` } : {};
  const submit = (): Promise<Job> =>
    again(name, () => client.enqueue('jobs', body, { idempotencyKey: name, ...webhook }));
  const result = (job: Job): Promise<string> =>
    again(name, async () => (await job.result({ timeoutMs: CALL_MS })).text());
  const job = await submit();
  voice.stored(own);
  if (own % 10 === 3) {
    const same = await submit();
    if (same.uuid !== job.uuid) voice.wrong(`${name} is ${job.uuid} and ${same.uuid}`);
  }
  const reply = await result(job);
  if (!reply.startsWith(`${name} by `)) voice.wrong(`${name} has the reply of ${reply}`);
  if (own % 10 === 5) {
    await pause(AGAIN_MS);
    const second = await result(job);
    if (second !== reply) voice.wrong(`the result of ${name} was ${reply}, and then ${second}`);
  }
  await again(name, () => job.close());
  voice.done(own);
  if (own % 10 === 7) {
    const same = await submit();
    if (same.found !== 'closed' || same.uuid !== job.uuid) {
      voice.wrong(`${name} was closed, and is ${String(same.found)} under ${same.uuid}`);
    }
  }
}

/** A client that says goodbye. */
async function visit(): Promise<void> {
  const visitor = new Client({ endpoints: stand.endpoints });
  for (const text of ['a', 'b', 'c']) await plain(visitor, text);
  await visitor.close();
  voice.count('clients that came and went');
}

async function lane(step: () => Promise<void>, everyMs: number): Promise<void> {
  while (!voice.isOver) {
    const dueMs = performance.now() + everyMs * (0.5 + Math.random());
    await step().catch((error: unknown) => voice.wrong(messageOf(error)));
    await pause(Math.max(1, dueMs - performance.now()));
  }
}

const lanes = (count: number, step: () => Promise<void>, everyMs: number): Promise<void>[] =>
  Array.from({ length: count }, () => lane(step, everyMs));

if (stand.isGuest) {
  await Promise.all(lanes(4, () => plain(client, 'a guest'), PLAIN_MS));
} else {
  const map = new MapLoad(stand.maps, MAP_MS);
  map.start();
  await Promise.all([
    ...lanes(PLAIN_LANES, () => plain(client, `plain ${Math.random()}`), PLAIN_MS),
    ...lanes(DURABLE_LANES, durable, DURABLE_MS),
    lane(visit, COMING_MS),
  ]);
  await map.stop();
  const wrong = (): string[] => [...map.errors, ...map.wrong(contentOf(map.reader))];
  await until(() => wrong().length === 0, 'the map').catch(() => {
    for (const text of wrong()) voice.wrong(`the map: ${text}`);
  });
  voice.count('changes of the map', map.sets);
}
await voice.end();
