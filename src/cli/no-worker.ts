/** Messages about a service without workers. */
import { nearestName } from '../config/nearest.js';
import { codeOf, MajordomoError } from '../core/errors.js';
import { escapeName } from '../core/escape.js';
import type { Client } from '../sdk/client.js';
import { ask } from './ask.js';

/** ERR_MDP_NO_WORKER, with the name that was possibly meant; any other error unchanged. */
export async function explained(client: Client, service: string, error: unknown): Promise<unknown> {
  if (codeOf(error) !== 'ERR_MDP_NO_WORKER') return error;
  return new MajordomoError('ERR_MDP_NO_WORKER', await noWorker(client, service), { cause: error });
}

/**
 * A sentence about a service that has no worker now, or is paused; `null` if neither, or the broker does
 * not say.
 */
export async function unserved(client: Client, service: string): Promise<string | null> {
  try {
    const { status } = await ask(client, 'mmi.service', service);
    if (status === '503') return `"${escapeName(Buffer.from(service))}" is paused by an operator.`;
    if (status !== '404') return null;
    const text = await noWorker(client, service);
    return text.endsWith('?') ? text : `${text}.`;
  } catch {
    return null;
  }
}

async function noWorker(client: Client, service: string): Promise<string> {
  const shown = escapeName(Buffer.from(service));
  const nearest = nearestName(shown, await servedNames(client));
  return `no worker serves "${shown}"${nearest === null ? '' : `; did you mean "${nearest}"?`}`;
}

/** As far as the broker reports them. */
async function servedNames(client: Client): Promise<string[]> {
  try {
    const { value } = await ask(client, 'mmi.services');
    return Array.isArray(value) ? value.flatMap(servedName) : [];
  } catch {
    return [];
  }
}

function servedName(item: unknown): string[] {
  if (typeof item !== 'object' || item === null) return [];
  const { service, workersWaiting, workersBusy }: Readonly<Record<string, unknown>> = { ...item };
  const isServed = Number(workersWaiting) + Number(workersBusy) > 0;
  return isServed && typeof service === 'string' ? [service] : [];
}
