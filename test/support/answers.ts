/**
 * What a broker answers over MMI and HTTP to the same questions, about the same workers and the same store: recorded
 * for each released version, and asked again of the program of today.
 */
import { RawPeer } from '../interop/support/raw-peer.js';
import { serve } from './daemon-users.js';
import { type Daemon, startDaemon } from './daemon.js';
import type { Fixtures } from './fixtures.js';
import { freePortsInARow } from './free-ports.js';
import { ask, type Ask, httpOf, tokenOf } from './http.js';
import { SHOP, TOKENS } from './programs.js';
import { VIEWED } from './stored-view.js';

/** A READY as a worker of that version sent it, and what the broker then says of the worker. */
export interface Ready {
  readonly from: string;
  /** As latin-1 characters. */
  readonly frames: readonly string[];
  readonly service: string;
}

export interface Answer {
  readonly question: string;
  readonly status: string;
  /** The JSON of it, or `undefined`. */
  readonly json?: unknown;
}

/** The broker that is asked: with the store of a fixture, a map, and tokens of programs. */
export async function answering(fixtures: Fixtures): Promise<Daemon> {
  const map = `map.listen=tcp://127.0.0.1:${await freePortsInARow(3)}`;
  // Its workers send no heartbeats.
  const sets = [map, TOKENS, 'limits.quotas={shop: {}}', 'broker.heartbeatIntervalMs=60000'];
  return await startDaemon({ dataDir: fixtures.copy('store'), sets: [...VIEWED, ...sets] });
}

/** Registers these workers, each on a connection of its own. */
export async function registered(daemon: Daemon, ready: readonly Ready[]): Promise<void> {
  for (const { frames, service } of ready) {
    await new RawPeer(daemon.endpoint).send(...frames);
    // Lists are in the order in which they came.
    await untilThere(daemon, service);
  }
}

/** Waits until the service has a worker. */
async function untilThere(daemon: Daemon, name: string): Promise<void> {
  const peer = new RawPeer(daemon.endpoint);
  await peer.untilMmi<readonly { readonly service: string }[]>('mmi.workers', (workers) =>
    workers.some(({ service }) => service === name),
  );
  peer.close();
}

export async function mmiAnswers(daemon: Daemon, ready: readonly Ready[]): Promise<Answer[]> {
  const peer = new RawPeer(daemon.endpoint);
  const services = [...new Set(ready.map(({ service }) => service))];
  const questions: readonly (readonly [string, ...string[]])[] = [
    ['mmi.hello', '{"noWorker":"refuse","failures":true}'],
    ['mmi.service', services[0] ?? ''],
    ['mmi.service', 'nobody'],
    ['mmi.services', ''],
    ['mmi.services', '{"limit":1}'],
    ['mmi.workers', ''],
    ...services.flatMap((service): [string, string][] => [
      ['mmi.workers', service],
      ['mmi.contract', service],
    ]),
    ['mmi.contract', 'nobody'],
    ['mmi.broker', ''],
    ['mmi.cancel', 'none'],
    ['mmi.fleet', ''],
    ['mmi.nothing', ''],
  ];
  const answers: Answer[] = [];
  for (const question of questions) {
    const [, , , , , status = '', ...rest] = await peer.ask('q', ...question);
    const text = rest.find((frame) => /^[[{]/.test(frame));
    const json = text === undefined ? {} : { json: JSON.parse(text) as unknown };
    answers.push({ question: question.join(' '), status, ...json });
  }
  peer.close();
  return answers;
}

interface Question extends Ask {
  readonly path: string;
}

/** Of a node that serves the store of a fixture. @param uuids of requests by their states */
export async function httpAnswers(
  daemon: Daemon,
  uuids: Readonly<Record<'pending' | 'replied' | 'dead', string>>,
  schedule: string,
): Promise<Answer[]> {
  serve(daemon, 'work');
  await untilThere(daemon, 'work');
  const operator = { token: tokenOf(daemon) };
  const post = { ...operator, method: 'POST' };
  const requests = '/api/v1/titanic/requests';
  const durable = '/api/v1/services/idle/requests?durable=true';
  const questions: readonly Question[] = [
    ...['/livez', '/readyz', '/servez', '/healthz'].map((path) => ({ path })),
    ...[
      ...['status', 'services', 'workers', 'clients', 'map', 'overview', 'ha', 'acl/log'],
      ...['services/history?service=work', 'services/work/contract', 'titanic/counts'],
      ...['titanic/requests', 'titanic/requests?state=dead', 'titanic/groups?by=reason'],
      ...['titanic/schedules', 'titanic/requests/00000000000000000000000000000000'],
    ].map((path) => ({ path: `/api/v1/${path}`, ...operator })),
    ...Object.values(uuids).flatMap((uuid) =>
      ['', '/bodies'].map((what) => ({ path: `${requests}/${uuid}${what}`, ...operator })),
    ),
    { path: `${requests}/${uuids.replied}` },
    { path: '/api/v1/services/work/requests', method: 'POST', token: SHOP, body: '{"a": 1}' },
    { path: '/api/v1/services/work/requests', method: 'POST' },
    {
      path: durable,
      method: 'POST',
      token: SHOP,
      body: 'kept',
      headers: { 'idempotency-key': 'k' },
    },
    { path: '/api/v1/services/work/pause', ...post },
    { path: '/api/v1/services/work/resume', ...post },
    { path: `/api/v1/titanic/schedules/${schedule}/pause`, ...post },
    { path: `/api/v1/titanic/schedules/${schedule}/resume`, ...post },
    { path: `/api/v1/titanic/schedules/${schedule}/fire`, ...post },
    { path: `${requests}/${uuids.dead}/retry`, ...post },
    { path: `${requests}/${uuids.pending}/cancel`, ...post },
    ...['retry', 'cancel', 'purge'].map((what) => ({
      ...{ path: `/api/v1/titanic/${what}`, ...post, body: '{"service":"nobody"}' },
      headers: { 'content-type': 'application/json' },
    })),
    { path: '/api/v1/nothing', ...operator },
  ];
  const answers: Answer[] = [];
  const put = async ({ path, ...options }: Question, name = path): Promise<unknown> => {
    const { status, json } = await ask(httpOf(daemon) + path, options);
    const question = `${options.method ?? 'GET'} ${name}`;
    answers.push({ question, status: String(status), ...(json === undefined ? {} : { json }) });
    return json;
  };
  for (const question of questions) await put(question);
  const body = '{"done":true}';
  const stored = await put({
    path: '/api/v1/services/work/requests?durable=true',
    method: 'POST',
    token: SHOP,
    body,
  });
  const own = `${requests}/${String((stored as { uuid?: unknown } | undefined)?.uuid)}`;
  await put({ path: `${own}/result?waitMs=60000`, token: SHOP }, 'its result');
  await put({ path: own, token: SHOP, method: 'DELETE' }, 'itself');
  return answers;
}

/** The metrics of a node, by name: their types and the names of their labels. */
export async function metricsOf(daemon: Daemon): Promise<Record<string, unknown>> {
  const { text } = await ask(`${httpOf(daemon)}/metrics`, { token: tokenOf(daemon) });
  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
  return Object.fromEntries(
    types.map(([, name = '', type]) => {
      const lines = text.matchAll(new RegExp(`^${name}(?:_\\w+)?\\{([^}]*)\\}`, 'gm'));
      const labels = [...lines].flatMap(([, all = '']) =>
        [...all.matchAll(/(\w+)="/g)].map(([, label]) => label),
      );
      return [name, { type, labels: [...new Set(labels)].sort() }];
    }),
  );
}

/** Figures of the last seconds, documented to be null without replies in these: a busy machine may be later. */
const OF_THE_LAST_SECONDS = /\.(p50Ms|p99Ms|maxMs)$/;

/**
 * What answers of today lack of recorded ones: the same status, and each field that was there, with a value of the
 * same type. A list with items has some.
 */
export function lacking(recorded: unknown, now: unknown, at = ''): string[] {
  if (recorded === null) return now === undefined ? [`${at}: absent`] : [];
  if (now === null && OF_THE_LAST_SECONDS.test(at)) return [];
  const [was, is] = [kindOf(recorded), kindOf(now)];
  if (was !== is) return [`${at}: was ${was}, is ${is}`];
  if (Array.isArray(recorded) && Array.isArray(now)) {
    const items: unknown[] = now;
    // (The rows of a table grow with the time.)
    if (recorded.length === 0 || Array.isArray(recorded[0])) return [];
    if (items.length === 0) return [`${at}: has no items`];
    return recorded
      .slice(0, items.length)
      .flatMap((item, n) => lacking(item, items[n], `${at}[${n}]`));
  }
  if (was !== 'object') return [];
  const values = now as Readonly<Record<string, unknown>>;
  return Object.entries(recorded as object).flatMap(([key, value]) =>
    lacking(value, values[key], `${at}.${key}`),
  );
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'list' : typeof value;
}
