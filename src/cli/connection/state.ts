/** Asks a broker for its state by MMI, as any client can, or by HTTP; the answers are the same. */
import { MajordomoError } from '../../core/errors.js';
import type { Client } from '../../sdk/client.js';
import type { SchemaName } from '../../admin/api/operation.js';
import type { AdminClient } from './admin-client.js';
import { type Facts, factsIn, isFacts } from '../common/facts.js';
import { shownName } from '../common/output.js';

/** A broker that can be asked. */
export interface StateSource {
  /** The JSON of mmi.broker; by HTTP also the database, which clients are not told (`store`). */
  status(): Promise<Facts>;
  /** The items of mmi.services; by HTTP also what only `ServiceSeen` has. */
  services(): Promise<readonly Facts[]>;
  /**
   * The items of mmi.workers, of all services or of one; by HTTP with a token also their addresses.
   */
  workers(service?: string): Promise<readonly Facts[]>;
  /** The JSON of mmi.contract. @throws ERR_REQUEST_FAILED with the status 404: there is none */
  contract(service: string | Buffer): Promise<Facts>;
  /** Where clients reach the broker. @throws ERR_NOT_LEARNT */
  endpoint(): Promise<string>;
  /** Asks, only by HTTP, whether the node is ready, and what is degraded. */
  health(): Promise<Facts | null>;
}

export function byMmi(client: Client): StateSource {
  return {
    status: async () => ({
      ...answerFacts('mmi.broker', await ask(client, 'mmi.broker')),
      store: null,
    }),
    services: async () => listOf('mmi.services', await ask(client, 'mmi.services')),
    workers: async (service) => {
      const answer = await ask(client, 'mmi.workers', service);
      if (answer.status === '404') return [];
      // With the same keys as by HTTP: older brokers report neither names nor numbers, and MMI no addresses.
      const unknown = { name: null, number: null, address: null };
      return listOf('mmi.workers', answer).map((worker) => ({ ...unknown, ...worker }));
    },
    contract: async (service) => {
      const answer = await ask(client, 'mmi.contract', service);
      if (answer.status === '404') throw noContract();
      return answerFacts('mmi.contract', answer);
    },
    endpoint: () => Promise.resolve(client.endpoint ?? ''),
    health: () => Promise.resolve(null),
  };
}

export function byHttp(client: AdminClient): StateSource {
  return {
    status: async () => {
      // Endpoints are only for learning addresses: what is shown does not depend on how it was
      // asked.
      const { endpoints: _endpoints, ...status } = await client.get('/api/v1/status');
      // Older brokers report no store.
      return { ...status, store: status['store'] ?? null };
    },
    services: () => client.all('/api/v1/services'),
    workers: (service) => {
      const name = service === undefined ? {} : { service: shownName(service) };
      return client.all('/api/v1/workers', name);
    },
    contract: (service) =>
      client.get(`/api/v1/services/${encodeURIComponent(shownName(service))}/contract`),
    endpoint: async () => {
      const { learntEndpoint } = await import('./learnt-address.js');
      const want = { client: true, worker: false, curve: null };
      return learntEndpoint(await client.get('/api/v1/status'), client.place, want);
    },
    health: () => client.get('/healthz'),
  };
}

/** The error of a service without a contract, as HTTP tells it. */
function noContract(): MajordomoError {
  const text = 'no worker of this service announced a contract';
  return new MajordomoError('ERR_REQUEST_FAILED', text, { details: { status: 404 } });
}

// ---------------------------------------------------------------- MMI

/** An answer: its status frame, and its JSON if it has one. */
interface Answer {
  readonly status: string;
  readonly value: unknown;
}

/**
 * Asks one MMI service. The pages of a list are fetched one by one and joined.
 * @throws whatever `Client.request` rejects with; ERR_REQUEST_FAILED
 */
export async function ask(
  client: Client,
  service: string,
  argument: string | Buffer = '',
): Promise<Answer> {
  let { frames } = await client.request(service, argument);
  const answer = await readAnswer(service, frames);
  const items: unknown = answer.value;
  if (!Array.isArray(items)) return answer;
  const all: unknown[] = [...(items as unknown[])];
  for (let cursor = frames[2]; cursor !== undefined; cursor = frames[2]) {
    const options = JSON.stringify({ cursor: cursor.toString('latin1') });
    ({ frames } = await client.request(service, [argument, options]));
    const { status, value } = await readAnswer(service, frames);
    if (status !== '200' || !Array.isArray(value)) throw notUnderstood(service, status);
    all.push(...(value as unknown[]));
  }
  return { status: answer.status, value: all };
}

/** The answers of HTTP that have all that an answer, or each of its items, has. */
const LIKE: Readonly<Record<string, SchemaName>> = {
  'mmi.broker': 'Status',
  'mmi.services': 'Service',
  'mmi.workers': 'Worker',
  'mmi.contract': 'Contracts',
};

async function readAnswer(service: string, frames: readonly Buffer[]): Promise<Answer> {
  const status = frames[0]?.toString('latin1') ?? '';
  const json = frames[1];
  if (json === undefined) return { status, value: null };
  let value: unknown;
  try {
    value = JSON.parse(json.toString('utf8'));
  } catch {
    throw notUnderstood(service, 'not JSON');
  }
  const { wrongIn } = await import('../../admin/api/answer-check.js');
  const like = LIKE[service] ?? 'object';
  const items: readonly unknown[] = Array.isArray(value) ? value : [value];
  for (const item of status === '200' ? items : []) {
    const wrong = isFacts(item) ? wrongIn(like, item) : null;
    if (wrong !== null) throw notUnderstood(service, wrong);
  }
  return { status, value };
}

/** The error for an answer that this command cannot use. */
function notUnderstood(service: string, what: string): MajordomoError {
  const text =
    what === '501'
      ? `the broker does not answer ${service} here (501): the listener has \`mmi: minimal\`, the default on a network address without keys, or this is not a Majordomo broker; use --admin`
      : `unexpected answer from the broker to ${service}: ${what}`;
  return new MajordomoError('ERR_REQUEST_FAILED', text);
}

/** The list in the answer. @throws ERR_REQUEST_FAILED */
function listOf(service: string, { status, value }: Answer): readonly Facts[] {
  if (status !== '200') throw notUnderstood(service, status);
  if (!Array.isArray(value)) throw notUnderstood(service, 'not a list');
  const list: readonly unknown[] = value;
  return list.map((item) => answerFacts(service, { status, value: item }));
}

/** The object in the answer. @throws ERR_REQUEST_FAILED */
export function answerFacts(service: string, { status, value }: Answer): Facts {
  if (status !== '200') throw notUnderstood(service, status);
  const facts = factsIn(value);
  if (facts === null) throw notUnderstood(service, 'not an object');
  return facts;
}
