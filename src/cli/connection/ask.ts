/** Asks a broker by MMI, for the commands that show its state. */
import type { Command } from 'commander';

import { MajordomoError } from '../../core/errors.js';
import type { Client, ClientOptions } from '../../sdk/client.js';
import type { SchemaName } from '../../admin/api/operation.js';
import { type Facts, factsIn, isFacts } from '../common/facts.js';
import { CLIENT_OPTIONS } from '../../sdk/option-tables.js';
import { addOutputOption, type OutputOptions } from '../common/formats.js';
import { curveOf, explainedAsking } from './curve.js';
import { endpointsOf } from './endpoints.js';
import { addTimeoutOptions, ANSWER_MS, type ConfigOptions } from '../common/options.js';
import { addEndpointOption, type EndpointOptions } from './options.js';

export interface AskOptions extends EndpointOptions, OutputOptions {
  readonly timeoutMs: number;
}

export function addAskOptions(command: Command, more: 'list' | null = null): Command {
  const made = addOutputOption(addEndpointOption(command), more);
  return addTimeoutOptions(made, 'how long to wait for an answer', ANSWER_MS);
}

/** An answer: its status frame, and its JSON if it has one. */
export interface Answer {
  readonly status: string;
  readonly value: unknown;
}

/**
 * Runs `use` with a client of these endpoints; each endpoint gets one chance to answer.
 * @param more options of the client, instead
 */
export async function withClient<T>(
  options: EndpointOptions & ConfigOptions & { readonly timeoutMs: number },
  use: (client: Client) => Promise<T>,
  more: Partial<ClientOptions> = {},
): Promise<T> {
  const endpoints = await endpointsOf(options);
  const { Client } = await import('../../sdk/client.js');
  const { timeoutMs } = options;
  const curve = curveOf(options);
  const shareMs = Math.ceil(timeoutMs / endpoints.length);
  const resendMs = Math.min(CLIENT_OPTIONS.resendMs.default, shareMs);
  // The default is not named: then requests are told of no deadline.
  const named = timeoutMs === CLIENT_OPTIONS.timeoutMs.default ? {} : { timeoutMs };
  const client = new Client({ endpoints, resendMs, ...named, ...curve, ...more });
  try {
    return await use(client);
  } catch (error) {
    throw explainedAsking(error, client.endpoint ?? endpoints.join(', '), curve.curve);
  } finally {
    await client.close();
  }
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
export function listOf(service: string, { status, value }: Answer): readonly Facts[] {
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
