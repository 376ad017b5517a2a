/** Programs over HTTP: requests, durable ones with long polls, and readers of streams and events that come and go. */
import { setTimeout as pause } from 'node:timers/promises';

import { messageOf } from '../../src/core/errors.js';
import { isHooked, standOf, Voice } from './voice.js';

const LANES = 4;
const EVERY_MS = 200;
const READERS_MS = 500;
const READ_MS = 2000;
const WAIT_MS = 10_000;
const PATIENCE_MS = 120_000;
const AGAIN_MS = 100;
/** A node that is not active, is busy or loses its workers; the same request can be sent again. */
const PASSING = [429, 502, 503, 504];

const stand = standOf();
const voice = new Voice('http');
let at = 0;
let number = 0;

interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

async function ask(
  node: number,
  path: string,
  asked: Asked,
  signal: AbortSignal,
): Promise<Response> {
  const headers = { authorization: `Bearer ${stand.token}`, ...asked.headers };
  return await fetch(`${stand.https[node]}/api/v1${path}`, { ...asked, headers, signal });
}

/** The node that was asked does not serve. */
function leave(node: number): void {
  if (at === node) at = 1 - node;
}

/** Asks the active node, whichever that is, until there is an answer that stays. */
async function again(what: string, path: string, asked: Asked): Promise<[number, string]> {
  const began = performance.now();
  while (performance.now() - began < PATIENCE_MS) {
    const node = at;
    try {
      const answer = await ask(node, path, asked, AbortSignal.timeout(2 * WAIT_MS));
      const text = await answer.text();
      if (!PASSING.includes(answer.status)) return [answer.status, text];
      voice.count(`programs, tried again: ${answer.status}`);
    } catch (error) {
      voice.count(`programs, tried again: ${messageOf(error)}`);
    }
    leave(node);
    await pause(AGAIN_MS);
  }
  throw new Error(`${what}: no answer within ${PATIENCE_MS} ms`);
}

async function plain(): Promise<void> {
  const [status, text] = await again('a program', '/services/echo/requests', {
    method: 'POST',
    body: 'from a program',
  });
  if (status !== 200 || text !== 'from a program') voice.wrong(`a program: ${status} ${text}`);
  voice.count('requests of programs');
}

async function durable(): Promise<void> {
  const own = ++number;
  const name = `http ${own}`;
  const webhook = isHooked(own) ? { 'majordomo-webhook': `${stand.hooks}/http/${own}` } : {};
  const headers = { prefer: 'respond-async', 'idempotency-key': name, ...webhook };
  const asked = { method: 'POST', headers, body: name };
  const [status, text] = await again(name, '/services/jobs/requests', asked);
  if (status !== 202) throw new Error(`${name}: ${status} ${text}`);
  voice.stored(own);
  const { uuid } = JSON.parse(text) as { readonly uuid: string };
  const path = `/titanic/requests/${uuid}`;
  const began = performance.now();
  for (;;) {
    const [found, reply] = await again(name, `${path}/result?waitMs=${WAIT_MS}`, {});
    if (found === 202 && performance.now() - began < PATIENCE_MS) continue;
    if (found !== 200 || !reply.startsWith(`${name} by `)) {
      throw new Error(`${name}: ${found} ${reply}`);
    }
    break;
  }
  const [ended, told] = await again(name, path, { method: 'DELETE' });
  // 404: an earlier DELETE, whose answer was lost, has ended it.
  if (ended >= 300 && ended !== 404) throw new Error(`${name}: ${ended} ${told}`);
  voice.done(own);
}

/** Reads a stream to its end, or leaves it after its first bytes. */
async function read(path: string, asked: Asked, isWhole: boolean): Promise<void> {
  const node = at;
  const left = new AbortController();
  const ends = AbortSignal.any([left.signal, AbortSignal.timeout(READ_MS)]);
  try {
    const headers = { accept: 'text/event-stream' };
    const answer = await ask(node, path, { ...asked, headers }, ends);
    if (answer.status === 200) voice.count('streams that were read');
    else leave(node);
    for await (const _chunk of answer.body ?? []) if (!isWhole) break;
  } catch {
    // It was left, or a node has ended.
  }
  left.abort();
}

const streams = (): Promise<void> =>
  read('/services/parts/requests', { method: 'POST', body: 'go' }, Math.random() < 0.5);

/** It reads for some seconds. */
const events = (): Promise<void> => read('/events', {}, true);

async function lane(step: () => Promise<void>, everyMs: number): Promise<void> {
  while (!voice.isOver) {
    await step().catch((error: unknown) => voice.wrong(messageOf(error)));
    await pause(everyMs * (0.5 + Math.random()));
  }
}

const lanes = [plain, durable].flatMap((step) =>
  Array.from({ length: LANES }, () => lane(step, EVERY_MS)),
);
await Promise.all([...lanes, lane(streams, READERS_MS), lane(events, READERS_MS)]);
await voice.end();
