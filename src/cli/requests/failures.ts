/** What `majordomo request` says of a service that failed, or that has no worker. */
import { codeOf, MajordomoError } from '../../core/errors.js';
import { failureWords } from '../../core/failure-words.js';
import { frameJson } from '../../core/frame-json.js';
import type { Client } from '../../sdk/client.js';
import { isServiceError } from '../../sdk/service-error.js';
import { type OutputOptions, tell } from '../common/formats.js';
import { printable, terminalSafe, shownName } from '../common/output.js';

interface FailureOutput extends OutputOptions {
  /** Print the detail of the failure. */
  readonly detail?: boolean;
}

/**
 * Prints the detail of a failure.
 * @param facts to put into the JSON
 * @returns ERR_SERVICE_FAILED with the message; any other error unchanged
 */
export async function explainedFailure(
  error: unknown,
  { output, detail: isDetailWanted }: FailureOutput,
  facts: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  if (!isServiceError(error)) return error;
  const { serviceCode: code, message, detail } = error;
  // A failure without a text has its code as message.
  const text = message === code ? '' : message;
  const failure = { ...facts, failed: true, code, text, detail: detail.map(frameJson) };
  await tell(output, failure, '');
  const who = error.service === '' ? 'the durable request' : shownName(error.service);
  const lines = [printable(`${who} failed: ${failureWords({ code, text })}`)];
  if (isDetailWanted === true && output !== 'json') {
    lines.push(...detail.map((frame) => terminalSafe(frame.toString('utf8')).trimEnd()));
  }
  return new MajordomoError('ERR_SERVICE_FAILED', lines.join('\n'), { cause: error });
}

// ---------------------------------------------------------------- no worker

/** ERR_MDP_NO_WORKER, with the name that was possibly meant; any other error unchanged. */
export async function explained(client: Client, service: string, error: unknown): Promise<unknown> {
  if (codeOf(error) !== 'ERR_MDP_NO_WORKER') return error;
  const text = (await why(client, service, ['404'])) ?? `no worker serves "${shownName(service)}"`;
  const remedy = ' (--wait waits for a worker)';
  return new MajordomoError('ERR_MDP_NO_WORKER', text + remedy, { cause: error });
}

/**
 * A sentence about a service that has no worker now, or is paused; `null` if neither, or the broker does
 * not say.
 */
export async function unserved(client: Client, service: string): Promise<string | null> {
  const text = await why(client, service, ['404', '503']);
  return text === null || text.endsWith('?') ? text : `${text}.`;
}

/** What the broker says of the service, named in place of "it"; `null`: nothing, or its status is none of these. */
async function why(
  client: Client,
  service: string,
  statuses: readonly string[],
): Promise<string | null> {
  try {
    const { frames } = await client.request('mmi.why', service);
    const [status, text] = frames.map((frame) => frame.toString());
    if (status === '501') return await whyOfEarlier(client, service, statuses);
    if (text === undefined || !statuses.includes(status ?? '')) return null;
    return printable(text.replace(/ it\b/, () => ` "${shownName(service)}"`));
  } catch {
    return null;
  }
}

/** Asks a broker that does not know `mmi.why`, such as 0.1.0. */
async function whyOfEarlier(
  client: Client,
  service: string,
  statuses: readonly string[],
): Promise<string | null> {
  const [status = ''] = (await client.request('mmi.service', service)).frames.map(String);
  if (!statuses.includes(status)) return null;
  const shown = `"${shownName(service)}"`;
  return status === '503' ? `an operator has paused ${shown}` : `no worker serves ${shown}`;
}
