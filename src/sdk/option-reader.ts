/** Reads the options of clients, workers and streams with their tables, and those that need more than a row. */
import { curvePublicKeyOf } from '../core/curve-file.js';
import type { MajordomoError } from '../core/errors.js';
import { didYouMean } from '../core/nearest.js';
import { CURVE_KEY_BYTES, decodeCurveKey } from '../core/z85.js';
import { type Headers, headersFault } from '../wire/headers.js';
import { type MdpVersion, SERVICE_NAME_BYTES_MAX } from '../wire/mdp.js';
import { optionLike } from '../wire/job-option-table.js';
import { checkSodium } from '../zmtp/curve/sodium.js';
import type { CurveClientKeys } from '../zmtp/link.js';
import type { Dial } from '../zmtp/link-port.js';
import { checkText, sdkError, wrong } from './errors.js';
import type { Option, OptionTable, ValuesOf } from './option-tables.js';

/** MDP version to speak: 7/MDP is `0.1`, 18/MDP is `0.2`. */
export type Protocol = '0.1' | '0.2';

/** The bytes of a service name. @throws ERR_MDP_OPTION */
export function serviceName(service: unknown): Buffer {
  if (typeof service !== 'string') throw wrong('service', 'must be a string');
  checkText('service', service);
  const bytes = Buffer.from(service, 'utf8');
  if (bytes.length < 1 || bytes.length > SERVICE_NAME_BYTES_MAX) {
    throw wrong('service', `must have 1 to ${SERVICE_NAME_BYTES_MAX} bytes`);
  }
  return bytes;
}

/**
 * Reads options with their table: each that is not given has its default.
 * @param what has these options, for messages
 * @param defaults instead of those of the table
 * @throws ERR_MDP_OPTION
 */
export function readOptions<Table extends OptionTable, Defaults extends object = object>(
  what: string,
  table: Table,
  given: unknown,
  defaults?: Defaults,
): ValuesOf<Table> & Pick<Defaults, keyof Defaults & keyof Table> {
  if (given !== undefined && (typeof given !== 'object' || given === null)) {
    throw wrong(`options of ${what}`, 'must be an object');
  }
  const input: Readonly<Record<string, unknown>> = { ...given };
  const usual = (defaults ?? {}) as Readonly<Record<string, unknown>>;
  const values = Object.entries(table).map(([name, option]) => {
    const value = input[name];
    if (value === undefined) return [name, usual[name] ?? option.default];
    if (option.isValid(value)) return [name, value];
    throw mustBe(name, option);
  });
  checkNames(what, Object.keys(table), input);
  return Object.fromEntries(values) as ValuesOf<Table> & Defaults;
}

/** The error of a value that its row does not allow. */
export function mustBe(name: string, option: Option): MajordomoError {
  return wrong(name, `must be ${option.what}`);
}

/** Options that are no more, and what to write in place of each. */
const GONE: Readonly<Record<string, string>> = {
  deadlineMs: 'is no option any more: write timeoutMs, the time of the whole call',
  retries:
    'is no option any more: timeoutMs is the time of the whole call, and the client says with resendMs when a ' +
    'broker without sessions is sent a request again',
};

/** @param place of the options, if they are those of an option themselves: `curve.` @throws ERR_MDP_OPTION */
function checkNames(what: string, known: readonly string[], given: object, place = ''): void {
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue;
    const gone = place === '' && known.includes('timeoutMs') ? GONE[name] : undefined;
    if (gone !== undefined) throw wrong(name, gone);
    throw wrong(place + name, `is not an option of ${what}${didYouMean(name, known)}`);
  }
}

/** A checked copy of the headers of a request. @param options names that no header may look like */
export function headersOf(given: unknown, options: readonly string[] = []): Headers | undefined {
  if (given === undefined) return undefined;
  for (const name of Object.keys(given ?? {})) {
    const option = optionLike(name, options);
    if (option === undefined) continue;
    throw wrong('headers', `have one that looks like the option ${option}: use the option`);
  }
  const fault = headersFault(given);
  if (fault === null) return { ...(given as Headers) };
  throw sdkError('ERR_MDP_OPTION', fault, { details: { option: 'headers' } });
}

export function versionOf(protocol: Protocol): MdpVersion {
  return protocol === '0.1' ? 1 : 2;
}

/** The option `dial`, or that of an engine with the option `curve`. */
export function givenDialOr(
  { dial, curve }: { readonly dial: Dial | undefined; readonly curve: unknown },
  dialWith: (curve: CurveClientKeys | undefined) => Dial,
): Dial {
  const keys = curveKeys(curve);
  if (dial === undefined) return dialWith(keys);
  if (keys !== undefined) throw wrong('curve', 'cannot be combined with dial');
  return dial;
}

/** The keys of a program that connects. */
export function curveKeys(given: unknown): CurveClientKeys | undefined {
  if (given === undefined) return undefined;
  const { serverKey, publicKey, secretKey } = curveOptions(given, [
    'serverKey',
    'publicKey',
    'secretKey',
  ]);
  const secret = curveKey('secretKey', secretKey);
  return {
    serverKey: curveKey('serverKey', serverKey),
    publicKey:
      publicKey === undefined ? curvePublicKeyOf(secret) : curveKey('publicKey', publicKey),
    secretKey: secret,
  };
}

/** @throws ERR_MDP_OPTION */
export function curveOptions<Name extends string>(
  given: unknown,
  names: readonly Name[],
): Readonly<Partial<Record<Name, unknown>>> {
  if (typeof given !== 'object' || given === null) {
    throw wrong('curve', `must be {${names.join(', ')}}`);
  }
  const options = { ...given } as Readonly<Partial<Record<Name, unknown>>>;
  checkNames('curve', names, options, 'curve.');
  checkSodium();
  return options;
}

/**
 * A copy of the key, because the caller may wipe its own.
 * @param name of the option, below `curve`
 */
export function curveKey(name: string, value: unknown): Buffer {
  if (typeof value === 'string') {
    const key = decodeCurveKey(value);
    if (key !== null) return key;
  } else if (value instanceof Uint8Array && value.length === CURVE_KEY_BYTES) {
    return Buffer.from(value);
  }
  throw wrong(`curve.${name}`, `must be a key: 40 characters of Z85, or ${CURVE_KEY_BYTES} bytes`);
}
