import { unescapeName } from '../core/escape.js';
import { wrongParameter } from './errors.js';
import type { ListQuery } from './ports.js';

/** How many items a page has, unless `limit` says otherwise, and at most. */
const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 1000;

const SERVICE_BYTES_MAX = 255;
const CURSOR_LENGTH_MAX = 256;

/** The parameters of a request, of which each is known to its route and given once. */
export class Query {
  readonly #values: ReadonlyMap<string, string>;

  /**
   * @param search the target behind its `?`
   * @throws ERR_HTTP_PARAMETER
   */
  constructor(search: string, known: readonly string[]) {
    const values = new Map<string, string>();
    for (const [name, value] of new URLSearchParams(search)) {
      if (!known.includes(name)) {
        const those =
          known.length === 0 ? 'no parameters are allowed here' : `known: ${known.join(', ')}`;
        throw wrongParameter(name, `unknown parameter; ${those}`);
      }
      if (values.has(name)) throw wrongParameter(name, 'given more than once');
      values.set(name, value);
    }
    this.#values = values;
  }

  text(name: string): string | null {
    return this.#values.get(name) ?? null;
  }

  /** @throws ERR_HTTP_PARAMETER */
  integer(name: string, min: number, max: number): number | null {
    const text = this.text(name);
    if (text === null) return null;
    const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    throw wrongParameter(name, `must be a whole number from ${min} to ${max}`);
  }

  /** @throws ERR_HTTP_PARAMETER */
  choice<Option extends string>(name: string, options: readonly Option[]): Option | null {
    const text = this.text(name);
    if (text === null) return null;
    const found = options.find((option) => option === text);
    if (found !== undefined) return found;
    throw wrongParameter(name, `must be one of ${options.join(', ')}`);
  }

  /**
   * The bytes of a service name, given as it is shown (D3).
   * @throws ERR_HTTP_PARAMETER
   */
  service(): Buffer | null {
    const text = this.text('service');
    return text === null ? null : serviceName(text);
  }

  /**
   * What all lists take.
   * @throws ERR_HTTP_PARAMETER
   */
  list(states: readonly string[]): ListQuery {
    const cursor = this.text('cursor');
    if (cursor !== null && cursor.length > CURSOR_LENGTH_MAX) {
      throw wrongParameter('cursor', 'not a cursor from a list');
    }
    return {
      cursor,
      limit: this.integer('limit', 1, LIMIT_MAX) ?? LIMIT_DEFAULT,
      service: this.service(),
      state: this.choice('state', states),
    };
  }
}

/**
 * The bytes of a service name that is given as it is shown (D3).
 * @throws ERR_HTTP_PARAMETER
 */
export function serviceName(shown: string): Buffer {
  const name = unescapeName(shown);
  if (name === null) {
    throw wrongParameter('service', '% must begin an escape %XX: give names as lists show them');
  }
  if (name.length >= 1 && name.length <= SERVICE_BYTES_MAX) return name;
  throw wrongParameter('service', `a service name has 1 to ${SERVICE_BYTES_MAX} bytes`);
}

/** The parameters of `Query.list`. */
export const LIST_PARAMETERS: readonly string[] = ['limit', 'cursor', 'service', 'state'];
