/**
 * The options of a durable request that mean the same wherever it is stored: as JSON of `titanic.submit` and
 * `titanic.schedule` (D16, D80), in the SDK, as flags of the command line, and, if they are numbers, as
 * parameters of HTTP, where `webhook` and `group` are headers. A row is all that an option needs; with `field` the broker stores and replicates it as it is.
 *
 * The file is also built for the page: no functions of `Buffer`.
 */
import { DURATION_MS_MAX, GROUP_BYTES_MAX, isWhole, PRIORITY_MAX } from '../core/numbers.js';

/** The pauses between the attempts of one stored request, in milliseconds, before jitter. */
export interface Backoff {
  /** The pause after the first failed attempt; it doubles after each further one. */
  readonly baseMs: number;
  /** The longest; at least `baseMs`. */
  readonly maxMs: number;
}

/**
 * Options of `Client.enqueue`, and of each request that a schedule makes.
 *
 *     await client.enqueue('render', scene, { priority: 10, ttlMs: 3_600_000 });
 */
export interface JobOptions {
  /** Requests with a higher priority run first. Default 0. */
  readonly priority?: number;
  /** The request does not run before this many milliseconds from now. Default 0. */
  readonly delayMs?: number;
  /**
   * An unserved request expires this many milliseconds after it may first run: now, or when `delayMs` is
   * over. Default: the broker's `titanic.requestTtlMs`.
   */
  readonly ttlMs?: number;
  /** Attempts after which the request is dead. Default: the broker's `titanic.maxAttempts`. */
  readonly maxAttempts?: number;
  /**
   * Pauses between attempts: `baseMs` after the first failed attempt, doubled after each further one, at
   * most `maxMs`, each less a random part of up to half. 1 to 86400000 milliseconds. Default: the broker's
   * `titanic.retryBaseMs` and `titanic.retryMaxMs`.
   */
  readonly backoff?: Backoff;
  /**
   * Whether clients with another key may read and close the request if they have its uuid. Default
   * false. A request stored without a key is always open to every holder of its uuid.
   */
  readonly shared?: boolean;
  /**
   * A URL that is told of the end of the request, if the broker allows its host (`http.webhookHosts`): 1 to 2048
   * characters of printable ASCII. Default: none.
   */
  readonly webhook?: string;
  /**
   * The group of the request, such as a tenant or a device, 1 to 255 bytes in UTF-8: the groups of a service take turns
   * at its workers. Default: that of all requests without one.
   */
  readonly group?: string | undefined;
}

type JobOption = (
  | { readonly type: 'flag' }
  /** Bounds of the number, of the bytes in UTF-8, or of each pause. */
  | {
      readonly type: 'whole' | 'text' | 'url' | 'pauses';
      readonly min: number;
      readonly max: number;
    }
) & {
  /** Text for the help of commands and of HTTP. */
  readonly about: string;
  /** How a request is stored without it, for documents. */
  readonly usual: string;
} & (Kept | { readonly field?: never });

/** An option that the broker keeps as it is. */
export interface Kept {
  /** The number among the fields of a stored request (store/fields.ts). */
  readonly field: number;
  /** The description with which HTTP shows it, which says what null means. */
  readonly shown: string;
  /** Whether it is null, too, if read without a token; that is added to the description, which has no period. */
  readonly needsToken?: true;
}

type TypeOf<Value> = Value extends number
  ? 'whole'
  : Value extends string
    ? 'text' | 'url'
    : Value extends boolean
      ? 'flag'
      : 'pauses';

export const JOB_OPTIONS = {
  priority: {
    type: 'whole',
    min: -PRIORITY_MAX,
    max: PRIORITY_MAX,
    about: 'higher ones are delivered first',
    usual: '0',
  },
  delayMs: {
    type: 'whole',
    min: 0,
    max: DURATION_MS_MAX,
    about: 'how long it is not delivered',
    usual: '0',
  },
  ttlMs: {
    type: 'whole',
    min: 1,
    max: DURATION_MS_MAX,
    about: 'how long it may go without a reply, from the time at which it may first run',
    usual: '`titanic.requestTtlMs`',
  },
  maxAttempts: {
    type: 'whole',
    min: 1,
    max: 1000,
    about: 'attempts after which it is dead',
    usual: '`titanic.maxAttempts`',
  },
  backoff: {
    type: 'pauses',
    min: 1,
    max: 86_400_000,
    about: 'pause after the first failed attempt, doubled after each, and the longest',
    usual: '`titanic.retryBaseMs`, `titanic.retryMaxMs`',
    field: 31,
    shown:
      'Pauses between attempts that its client chose: after the first failed attempt, and the longest; ' +
      'null: `titanic.retryBaseMs` and `titanic.retryMaxMs`.',
  },
  shared: {
    type: 'flag',
    about: 'other keys may read and close it, too, with its uuid',
    usual: 'false',
  },
  webhook: {
    type: 'url',
    min: 1,
    max: 2048,
    about: 'a URL that is told of its end, if the broker allows its host',
    usual: 'none',
  },
  group: {
    type: 'text',
    min: 1,
    max: GROUP_BYTES_MAX,
    about: 'its group, such as a tenant or a device: those of a service take turns',
    usual: 'none',
  },
} as const satisfies {
  readonly [Name in keyof JobOptions]-?: JobOption & {
    readonly type: TypeOf<NonNullable<JobOptions[Name]>>;
  };
};

export type JobOptionRow = JobOption & {
  readonly name: keyof JobOptions;
  /** What a value of it is, for messages. */
  readonly what: string;
  readonly isValid: (value: unknown) => value is OptionValue;
};
export type OptionValue = number | string | boolean | Backoff;

export const JOB_ROWS: readonly JobOptionRow[] = (
  Object.entries(JOB_OPTIONS) as [keyof JobOptions, JobOption][]
).map(([name, option]) => ({ name, ...option, ...checkOf(option) }));

/** The options that are kept as they are. */
export type KeptName = {
  [Name in keyof JobOptions]-?: (typeof JOB_OPTIONS)[Name] extends { readonly field: number }
    ? Name
    : never;
}[keyof JobOptions];
export type KeptOptions = { readonly [Name in KeptName]: NonNullable<JobOptions[Name]> | null };

export type KeptRow = JobOptionRow & Kept & { readonly name: KeptName };
export const KEPT_ROWS = JOB_ROWS.filter((row): row is KeptRow => row.field !== undefined);

function checkOf(option: JobOption): Pick<JobOptionRow, 'what' | 'isValid'> {
  if (option.type === 'flag') {
    return { what: 'true or false', isValid: (value) => typeof value === 'boolean' };
  }
  const { type, min, max } = option;
  switch (type) {
    case 'whole':
      return {
        what: `a whole number from ${min} to ${max}`,
        isValid: (value) => isWhole(value, min, max),
      };
    case 'text':
      return {
        what: textRule(max, min),
        isValid: (value) => isText(value, min, max),
      };
    case 'url':
      return {
        what: `a URL of ${min} to ${max} printable ASCII characters`,
        isValid: (value) => isUrlText(value, min, max),
      };
    case 'pauses':
      return {
        what: `{"baseMs", "maxMs"}, whole numbers from ${min} to ${max}, maxMs not below baseMs`,
        isValid: (value) => isBackoff(value, min, max),
      };
  }
}

function isUrlText(value: unknown, min: number, max: number): value is string {
  return isText(value, min, max) && /^[\x21-\x7e]+$/.test(value);
}

/** The option whose name a header has but for case and separators: the header would do nothing of what it says. */
export function optionLike(header: string, options: readonly string[]): string | undefined {
  const letters = lettersOf(header);
  return options.find((option) => lettersOf(option) === letters);
}

function lettersOf(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z\d]/g, '');
}

function isBackoff(value: unknown, min: number, max: number): value is Backoff {
  if (typeof value !== 'object' || value === null) return false;
  const { baseMs, maxMs, ...others }: { readonly [Name in keyof Backoff]?: unknown } = value;
  if (Object.keys(others).length > 0) return false;
  return isWhole(baseMs, min, max) && isWhole(maxMs, baseMs, max);
}

const UTF_8 = new TextEncoder();
const UNPAIRED = /\p{Surrogate}/u;

/** @param min in bytes of UTF-8, as `max` is */
export function isText(value: unknown, min: number, max: number): value is string {
  // All unpaired surrogates become the same bytes: texts that differ would be the same.
  if (typeof value !== 'string' || value.length > max || UNPAIRED.test(value)) return false;
  if (value.length >= min && 3 * value.length <= max) return true;
  const bytes = UTF_8.encode(value).length;
  return bytes >= min && bytes <= max;
}

export function textRule(max: number, min = 1): string {
  return `a string of valid Unicode, ${min} to ${max} bytes in UTF-8`;
}
