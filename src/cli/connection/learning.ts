/** Asks a node by one protocol where it answers the other (`MAJORDOMO_URL`). */
import { codeOf, MajordomoError, messageOf } from '../../core/errors.js';
import type { CurveClientKeys } from '../../sdk/dials.js';
import { type Facts, factsIn } from '../common/facts.js';
import { AdminClient, type AskedFor } from './admin-client.js';
import type { AdminAddress, FoundToken } from './admin-address.js';
import { explainedAsking } from './curve.js';
import { NODE_URL } from './endpoints.js';
import {
  learntEndpoint,
  notLearnt,
  learntHttpAddress,
  type LearntAddress,
  type Want,
} from './learnt-address.js';

const STATUS = '/api/v1/status';
const MMI_BROKER = 'mmi.broker';
/** A larger answer is not a node's status. */
const ANSWER_BYTES_MAX = 256 * 1024;

/** Clients take no --admin-ca, and `explained` says what to do. */
const FOR_CLIENTS: AskedFor = { caRemedy: 'NODE_EXTRA_CA_CERTS', remedy: '' };

export interface Asking {
  readonly timeoutMs: number;
  readonly curve: CurveClientKeys | undefined;
  /** The file of `--admin-ca`. */
  readonly caFile: string | undefined;
}

/**
 * Where the node at these endpoints answers HTTP; of a pair, the active node.
 * @throws ERR_NOT_LEARNT; what `Client.request` rejects with, if none answers
 */
export async function learnAddress(
  endpoints: readonly string[],
  asking: Asking,
): Promise<LearntAddress> {
  const { caFile, curve } = asking;
  const ended = new AbortController();
  try {
    return await activeOf(
      endpoints.map(async (endpoint) => {
        const status = await statusByMmi(endpoint, asking, ended.signal);
        return {
          isActive: status['state'] === 'active',
          read: () => learntHttpAddress(status, endpoint, curve !== undefined, caFile),
        };
      }),
    );
  } catch (error) {
    throw explained(
      error,
      NODE_URL,
      `cannot get the HTTP address from ${endpoints.join(', ')}`,
      '--admin',
    );
  } finally {
    ended.abort();
  }
}

/**
 * Which of several nodes is active.
 * @throws what asking throws, if none answers
 */
export async function activeAddress(
  places: readonly AdminAddress[],
  tokenFor: (place: AdminAddress) => Promise<FoundToken>,
  timeoutMs: number,
): Promise<AdminAddress> {
  const [only] = places;
  if (only !== undefined && places.length === 1) return only;
  return await activeOf(
    places.map(async (place) => {
      const status = await statusByHttp(place, await tokenFor(place), timeoutMs);
      return { isActive: status['state'] === 'active', read: () => place };
    }),
  );
}

/**
 * Asks each node for an endpoint, and returns those of the nodes that answer.
 * @param source what names the places, for messages
 * @throws ERR_NOT_LEARNT; what asking throws, if none answers
 */
export async function learnEndpoints(
  places: readonly AdminAddress[],
  source: string,
  token: FoundToken,
  want: Want,
  timeoutMs: number,
): Promise<readonly string[]> {
  const asked = await Promise.allSettled(
    places.map(async (place) =>
      learntEndpoint(await statusByHttp(place, token, timeoutMs, FOR_CLIENTS), place, want),
    ),
  );
  const found = fulfilled(asked);
  if (found.length > 0) return [...new Set(found)];
  const names = places.map(({ name }) => name).join(', ');
  throw explained(
    firstReason(asked),
    source,
    `cannot get the endpoint from ${names}`,
    '--endpoint',
  );
}

// ---------------------------------------------------------------- asking

export async function statusByMmi(
  endpoint: string,
  { timeoutMs, curve }: Asking,
  signal: AbortSignal,
): Promise<Facts> {
  const { Client } = await import('../../sdk/client.js');
  const keys = curve === undefined ? {} : { curve };
  const client = new Client({ endpoints: [endpoint], timeoutMs, ...keys });
  try {
    const reply = await client.request(MMI_BROKER, '', { signal }).catch((error: unknown) => {
      throw explainedAsking(error, endpoint, curve, '');
    });
    const [status, json] = reply.frames;
    if (status?.toString('latin1') !== '200' || json === undefined) {
      throw notLearnt(
        `the broker at ${endpoint} does not answer ${MMI_BROKER}: it is not a Majordomo broker`,
      );
    }
    if (json.length > ANSWER_BYTES_MAX) throw tooLarge(endpoint, json.length);
    return objectIn(json.toString('utf8'), endpoint);
  } finally {
    await client.close();
  }
}

async function statusByHttp(
  place: AdminAddress,
  token: FoundToken,
  timeoutMs: number,
  asked: AskedFor = {},
): Promise<Facts> {
  const bounded = { bytesMax: ANSWER_BYTES_MAX, ...asked };
  return await new AdminClient(place, token, timeoutMs, bounded).get(STATUS);
}

function objectIn(json: string, endpoint: string): Facts {
  let value: unknown = null;
  try {
    value = JSON.parse(json);
  } catch {
    // Handled like any answer that is not an object.
  }
  const facts = factsIn(value);
  if (facts !== null) return facts;
  throw notLearnt(`unexpected answer from ${endpoint} to ${MMI_BROKER}: not a JSON object`);
}

function tooLarge(endpoint: string, bytes: number): MajordomoError {
  return notLearnt(
    `the answer from ${endpoint} to ${MMI_BROKER} is too large: ${bytes} bytes, at most ${ANSWER_BYTES_MAX} are allowed`,
  );
}

// ---------------------------------------------------------------- choosing

export function fulfilled<T>(asked: readonly PromiseSettledResult<T>[]): readonly T[] {
  return asked.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
}

export function firstReason(asked: readonly PromiseSettledResult<unknown>[]): unknown {
  return asked.find((each) => each.status === 'rejected')?.reason;
}

interface Answered<T> {
  readonly isActive: boolean;
  /** @throws ERR_NOT_LEARNT */
  readonly read: () => T;
}

/**
 * The first active node that answers; if none is active, the first that answered.
 * @throws why there is none
 */
async function activeOf<T>(asked: readonly Promise<Answered<T>>[]): Promise<T> {
  const active = asked.map(async (each) => {
    const answered = await each;
    if (!answered.isActive) throw notLearnt('the node is not active');
    return answered;
  });
  const first = await Promise.any(active).catch(() => null);
  if (first !== null) return first.read();
  const answers = await Promise.allSettled(asked.map(async (each) => (await each).read()));
  const found = answers.find((each) => each.status === 'fulfilled');
  if (found !== undefined) return found.value;
  const [failed] = answers;
  throw failed?.status === 'rejected' ? failed.reason : notLearnt('no address given');
}

/** Adds to an error the purpose of the question, and the option that makes it unnecessary. */
function explained(error: unknown, source: string, what: string, option: string): MajordomoError {
  const known = codeOf(error) ?? 'ERR_INTERNAL';
  // An answer came but is of no use.
  const code = known === 'ERR_REQUEST_FAILED' ? 'ERR_NOT_LEARNT' : known;
  const text = known === 'ERR_NOT_LEARNT' ? messageOf(error) : `${what}: ${messageOf(error)}`;
  const instead = text.includes(option) ? '' : `; give ${option}`;
  return new MajordomoError(code, `${source}: ${text}${instead}`, { cause: error });
}
