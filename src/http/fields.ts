import { httpError, wrongParameter } from './errors.js';
import { serviceName } from './query.js';

/** The fields of a JSON body, each of which is known; `null` is as good as absent. */
export class Fields {
  readonly #body: Readonly<Record<string, unknown>>;

  /** @throws ERR_HTTP_BODY */
  constructor(body: Readonly<Record<string, unknown>>, known: readonly string[]) {
    const stranger = Object.keys(body).find((name) => !known.includes(name));
    if (stranger !== undefined) {
      const those =
        known.length === 0 ? 'no fields are allowed here' : `known: ${known.join(', ')}`;
      throw httpError('ERR_HTTP_BODY', `${stranger}: unknown field; ${those}`);
    }
    this.#body = body;
  }

  /** @throws ERR_HTTP_PARAMETER */
  integer(name: string, min: number, max: number): number | null {
    const value = this.#body[name] ?? null;
    if (value === null) return null;
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) {
      return value;
    }
    throw wrongParameter(name, `must be a whole number from ${min} to ${max}`);
  }

  /** @throws ERR_HTTP_PARAMETER */
  choice<Option extends string>(name: string, options: readonly Option[]): Option | null {
    const value = this.#body[name] ?? null;
    if (value === null) return null;
    const found = options.find((option) => option === value);
    if (found !== undefined) return found;
    throw wrongParameter(name, `must be one of ${options.join(', ')}`);
  }

  /**
   * The bytes of a service name, given as it is shown (D3).
   * @throws ERR_HTTP_PARAMETER
   */
  service(): Buffer | null {
    const value = this.#body['service'] ?? null;
    if (value === null) return null;
    if (typeof value !== 'string') throw wrongParameter('service', 'must be a string');
    return serviceName(value);
  }
}
