/** What `majordomo request` says of a service that failed, or that has no worker. */
import { nearestName } from '../../core/nearest.js';
import { codeOf, MajordomoError, messageOf } from '../../core/errors.js';
import { failureWords } from '../../core/failure-words.js';
import { frameJson } from '../../core/frame-json.js';
import type { Client } from '../../sdk/client.js';
import { isServiceError } from '../../sdk/service-error.js';
import { ask } from '../connection/ask.js';
import { type Facts, listIn } from '../common/facts.js';
import { type OutputOptions, tell } from '../common/formats.js';
import { printable, terminalSafe, shownName } from '../common/output.js';

/** How long a command that has waited in vain waits for the broker to say why. */
const WHY_MS = 200;

export interface FailureOutput extends OutputOptions {
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

/**
 * ERR_MDP_NO_WORKER, with the name that was possibly meant; ERR_MDP_TIMEOUT, with what keeps the service from answering,
 * if the broker knows; any other error unchanged.
 */
export async function explained(client: Client, service: string, error: unknown): Promise<unknown> {
  const code = codeOf(error);
  if (code === 'ERR_MDP_TIMEOUT') {
    const obstacle = await obstacleOf(client, service);
    if (obstacle === null) return error;
    return new MajordomoError(code, `${messageOf(error)}: ${obstacle}`, { cause: error });
  }
  if (code !== 'ERR_MDP_NO_WORKER') return error;
  return new MajordomoError('ERR_MDP_NO_WORKER', await noWorker(client, service), { cause: error });
}

/** Why a request was not answered, as far as the broker tells at once: the time of the command is over. */
async function obstacleOf(client: Client, service: string): Promise<string | null> {
  const [status, load] = await Promise.all([
    answerAtOnce(client, 'mmi.service', service).then((frames) => frames[0]?.toString()),
    loadAtOnce(client, service),
  ]);
  if (status === '503') return 'an operator has paused it';
  if (status === '404') return `no worker serves "${shownName(service)}"`;
  if (status !== '200' || load === undefined) return null;
  const { workersWaiting, workersBusy, queued } = load;
  if (workersWaiting !== 0 || workersBusy === 0 || Number(queued) === 0) return null;
  const waiting = queued === 1 ? 'request waits' : 'requests wait';
  return `all its workers are busy, and ${printable(queued)} ${waiting}`;
}

/** The service in the first page of the list, if the broker tells it. */
async function loadAtOnce(client: Client, service: string): Promise<Facts | undefined> {
  const [, list] = await answerAtOnce(client, 'mmi.services', '');
  const name = shownName(service);
  try {
    return listIn(JSON.parse(list?.toString() ?? '[]')).find((each) => each['service'] === name);
  } catch {
    return undefined;
  }
}

/** @returns no frames, if the broker did not answer in time */
async function answerAtOnce(
  client: Client,
  service: string,
  of: string,
): Promise<readonly Buffer[]> {
  try {
    return (await client.request(service, of, { deadlineMs: WHY_MS })).frames;
  } catch {
    return [];
  }
}

/**
 * A sentence about a service that has no worker now, or is paused; `null` if neither, or the broker does
 * not say.
 */
export async function unserved(client: Client, service: string): Promise<string | null> {
  try {
    const { status } = await ask(client, 'mmi.service', service);
    if (status === '503') return `"${shownName(service)}" is paused by an operator.`;
    if (status !== '404') return null;
    const text = await noWorker(client, service);
    return text.endsWith('?') ? text : `${text}.`;
  } catch {
    return null;
  }
}

async function noWorker(client: Client, service: string): Promise<string> {
  const shown = shownName(service);
  const nearest = nearestName(shown, await servedNames(client));
  return `no worker serves "${shown}"${nearest === null ? '' : `; did you mean "${nearest}"?`}`;
}

/** Lists the names of services as far as the broker reports them. */
async function servedNames(client: Client): Promise<string[]> {
  try {
    const { value } = await ask(client, 'mmi.services');
    return listIn(value).flatMap(servedName);
  } catch {
    return [];
  }
}

function servedName({ service, workersWaiting, workersBusy }: Facts): string[] {
  const isServed = Number(workersWaiting) + Number(workersBusy) > 0;
  return isServed && typeof service === 'string' ? [service] : [];
}
