/** Headers of an HTTP request that become headers of the MDP request, and what others ask for. */
import { headerText } from '../../admin/http/check.js';
import { wrongParameter } from '../../admin/http/errors.js';
import type { HeaderValues as Given } from '../../admin/http/route.js';
import { encodeHeaders, headersFault } from '../../wire/headers.js';
import {
  JOB_OPTIONS,
  JOB_ROWS,
  isText,
  optionLike,
  textRule,
} from '../../wire/job-option-table.js';
import { IDEMPOTENCY_KEY_BYTES_MAX } from '../../wire/tsp.js';

/** The rest of the name is the name of the MDP header. */
const PREFIX = 'majordomo-header-';
/** HTTP headers that keep their names: what the body is, and the trace that it belongs to. */
const TRACE = ['traceparent', 'tracestate'];
const PASSED = ['content-type', ...TRACE];
const WEBHOOK = 'majordomo-webhook';
const ONCE = 'majordomo-once';
const GROUP = 'majordomo-group';

/** What `Majordomo-…` must not look like with a stored request: as a header it would do nothing. */
const OPTIONS = ['idempotencyKey', 'durable', 'timeoutMs', ...JOB_ROWS.map(({ name }) => name)];
/** Options that HTTP has, but not as a parameter. */
const AS_HEADERS: Readonly<Record<string, string>> = {
  webhook: 'use the header Majordomo-Webhook',
  group: 'use the header Majordomo-Group',
  idempotencyKey: 'use the header Idempotency-Key',
  backoff: 'HTTP does not have it',
  shared: 'HTTP does not have it',
};

/** Headers that nothing here reads, and which differ with each request that has them. */
const UNREAD = ['x-request-id', 'x-correlation-id', 'baggage', 'b3', 'x-amzn-trace-id'];
const DIFFERING = [...TRACE, 'idempotency-key', GROUP, ...UNREAD];

/** Whether the value of a header only travels with its request, and decides nothing about how that is handled. */
export function mayDiffer(name: string): boolean {
  return DIFFERING.includes(name) || name.startsWith(PREFIX);
}

/** Refuses headers of a stored request that look like an option. @throws ERR_HTTP_PARAMETER */
export function refuseOptions(given: Given): void {
  for (const name of Object.keys(given)) {
    const [, rest = ''] = /^majordomo-(?:header-)?(.+)$/.exec(name) ?? [];
    const option = name === WEBHOOK || name === GROUP ? undefined : optionLike(rest, OPTIONS);
    if (option === undefined) continue;
    const remedy = AS_HEADERS[option] ?? `use the parameter ${option} of the URL`;
    throw wrongParameter(name, `looks like the option ${option}: ${remedy}`);
  }
}

/** The headers of the MDP request, encoded; empty: none. @throws ERR_HTTP_PARAMETER */
export function headersFrame(given: Given): Buffer {
  return encodeHeaders(headersIn(given));
}

/** @throws ERR_HTTP_PARAMETER */
function headersIn(given: Given): Readonly<Record<string, string>> {
  const headers = Object.create(null) as Record<string, string>;
  for (const name of PASSED) set(headers, name, name, given[name]);
  // It says how the frames came over HTTP, and nothing of any of them.
  if (/^multipart\/mixed\b/i.test(headers['content-type'] ?? '')) delete headers['content-type'];
  for (const [name, values] of Object.entries(given)) {
    if (name.startsWith(PREFIX)) set(headers, name.slice(PREFIX.length), name, values);
  }
  const fault = headersFault(headers);
  if (fault !== null) throw wrongParameter('Majordomo-Header-NAME', fault);
  return headers;
}

/**
 * What a request and its repetition have in common, beside service and body. A trace is of each of them.
 * @throws ERR_HTTP_PARAMETER
 */
export function sameHeaders(given: Given): string {
  const headers = Object.entries(headersIn(given)).filter(([name]) => !TRACE.includes(name));
  return JSON.stringify([wantedBy(given), onceIn(given, false), groupIn(given), headers.sort()]);
}

/** @throws ERR_HTTP_PARAMETER if the values are not UTF-8 */
function set(
  headers: Record<string, string>,
  name: string,
  field: string,
  values: readonly string[] | undefined,
): void {
  if (values !== undefined) headers[name] = textOf(field, values.join(', '));
}

/** @throws ERR_HTTP_PARAMETER */
function textOf(field: string, value: string): string {
  const text = headerText(value);
  if (text === null) throw wrongParameter(field, 'its bytes are not UTF-8');
  return text;
}

/** `Prefer: respond-async` (RFC 7240): the request is to be stored. */
export function prefersAsync({ prefer = [] }: Given): boolean {
  return prefer.some((value) =>
    value.split(',').some((each) => /^\s*respond-async\s*(;|$)/i.test(each)),
  );
}

const ONLY_STORED = 'only for requests that are stored: add Prefer: respond-async, or durable=true';

/** `Majordomo-Webhook`: the URL that is told of the end; `null`: none. @throws ERR_HTTP_PARAMETER */
export function webhookIn({ [WEBHOOK]: values }: Given, isStored: boolean): string | null {
  if (values === undefined) return null;
  if (!isStored) throw wrongParameter('Majordomo-Webhook', ONLY_STORED);
  const [url = ''] = values;
  if (values.length === 1 && url !== '') return url;
  throw wrongParameter('Majordomo-Webhook', 'must be one URL');
}

/** `Majordomo-Once`: at most one worker may run the request. @throws ERR_HTTP_PARAMETER */
export function onceIn({ [ONCE]: values }: Given, isStored: boolean): boolean {
  if (values === undefined) return false;
  if (isStored) {
    throw wrongParameter(
      'Majordomo-Once',
      'only for requests that are not stored: with those use the parameter maxAttempts=1 of the URL',
    );
  }
  const [value = ''] = values;
  if (values.length === 1 && /^(true|false|1|0)$/i.test(value)) return /^(true|1)$/i.test(value);
  throw wrongParameter('Majordomo-Once', 'must be true or false');
}

/** `Majordomo-Group`: the group of the request; `null`: none. @throws ERR_HTTP_PARAMETER */
export function groupIn({ [GROUP]: values }: Given): string | null {
  if (values === undefined) return null;
  const { min, max } = JOB_OPTIONS.group;
  const [value = ''] = values;
  const group = textOf('Majordomo-Group', value);
  if (values.length === 1 && isText(group, min, max)) return group;
  throw wrongParameter('Majordomo-Group', `must be ${textRule(max, min)}`);
}

/** A string of RFC 8941, as draft-ietf-httpapi-idempotency-key-header has the key. */
const QUOTED = /^"((?:[ !#-[\]-~]|\\["\\])*)"$/;

export interface GivenKey {
  readonly key: string;
  /** The key with its quotation marks, as 0.1.0 stored it; `null`: it came without them. */
  readonly quoted: string | null;
}

/** `Idempotency-Key`: a key, or the same in quotation marks; `null`: none. @throws ERR_HTTP_PARAMETER */
export function idempotencyKey({ 'idempotency-key': values }: Given): GivenKey | null {
  if (values === undefined) return null;
  const given = textOf('Idempotency-Key', values[0] ?? '');
  const isQuoted = given.startsWith('"');
  const [, inner = null] = QUOTED.exec(given) ?? [];
  if (isQuoted && inner === null) {
    throw wrongParameter(
      'Idempotency-Key',
      'begins with a quotation mark and is no string of RFC 8941: printable ASCII in quotation marks, with a backslash before " and \\',
    );
  }
  const key = inner === null ? given : inner.replaceAll(/\\(.)/g, '$1');
  const bytes = Buffer.byteLength(key);
  if (values.length === 1 && bytes > 0 && bytes <= IDEMPOTENCY_KEY_BYTES_MAX) {
    return { key, quoted: isQuoted ? given : null };
  }
  throw wrongParameter(
    'Idempotency-Key',
    `must be one key of 1 to ${IDEMPOTENCY_KEY_BYTES_MAX} bytes`,
  );
}

/** In which form the reply is wanted. */
export type Wanted =
  | { readonly kind: 'events' }
  /** The frames of the reply, as parts. */
  | { readonly kind: 'parts' }
  /** The frames of the reply, joined, under this type. */
  | { readonly kind: 'bytes'; readonly type: string };

const ANY_TYPE = 'application/octet-stream';

/** MDP replies have no type: it is the one that the client accepts, if that is one. */
export function wantedBy({ accept = [] }: Given): Wanted {
  const types = accept
    .flatMap((value) => value.split(','))
    .map((type) => type.trim().toLowerCase());
  const names = types.map((type) => type.split(';', 1).join('').trim());
  if (names.includes('text/event-stream')) return { kind: 'events' };
  if (names.includes('multipart/mixed')) return { kind: 'parts' };
  const [only = ''] = types;
  const isOne =
    types.length === 1 && /^[\w.+-]{1,64}\/[\w.+-]{1,64}(; *charset=[\w-]{1,32})?$/.test(only);
  return { kind: 'bytes', type: isOne ? only : ANY_TYPE };
}
