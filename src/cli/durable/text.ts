/** Shows stored requests. */
import { type Facts, factsIn, listIn } from '../common/facts.js';
import {
  duration,
  printable,
  sizeText,
  type Style,
  styled,
  terminalSafe,
} from '../common/output.js';
import { type Column, field, lockedField, NEEDS_TOKEN, table } from '../common/table.js';

/** A shorter reason would say nothing. */
const REASON_WIDTH_MIN = 24;

const STYLES: Readonly<Record<string, Style>> = {
  dispatched: 'yellow',
  replied: 'green',
  dead: 'red',
};

interface Listed {
  readonly item: Facts;
  /** Milliseconds since 1970. */
  readonly now: number;
}

export const LIST: readonly Column<Listed>[] = [
  { head: 'UUID', cell: ({ item }) => printable(item['uuid']) },
  { head: 'STATE', cell: ({ item }) => printable(item['state']), drop: 5 },
  { head: 'SERVICE', cell: ({ item }) => printable(item['service']), drop: 6 },
  { head: 'PRIORITY', cell: ({ item }) => printable(item['priority']), right: true, drop: 1 },
  { head: 'FAILED', cell: ({ item }) => failedOf(item), right: true, drop: 3 },
  { head: 'AGE', cell: ({ item, now }) => ageOf(item['acceptedAt'], now), right: true, drop: 4 },
  { head: 'SIZE', cell: ({ item }) => sizeText(item['bodyBytes']), right: true, drop: 2 },
  { head: 'GROUP', cell: ({ item }) => printable(item['group'] ?? '-'), drop: 7 },
  { head: 'REASON', cell: ({ item }) => reasonOf(item), cut: REASON_WIDTH_MIN },
];

/** The last reason, or that a reader with a token would get it. */
function reasonOf({ reason, reasonAt }: Facts): string {
  return printable(reason ?? (typeof reasonAt === 'string' ? NEEDS_TOKEN : '-'));
}

/** @param now milliseconds since 1970 */
export function listText(items: readonly Facts[], now: number, width: number): string {
  const hasGroups = items.some(({ group }) => typeof group === 'string');
  return table(
    LIST.filter(({ head }) => head !== 'GROUP' || hasGroups),
    items.map((item) => ({ item, now })),
    width,
  );
}

export interface ShownGroup {
  readonly filter: Facts;
  readonly count: number;
  readonly example: Facts;
}

/** What the columns of a group are called, by their fields. */
const GROUP_COLUMNS: Readonly<Record<string, readonly string[]>> = {
  reason: ['code', 'pattern'],
  code: ['code'],
  service: ['service'],
};

/**
 * @param others requests of groups that are not shown
 * @param by what the requests of a group have in common
 */
export function groupsText(
  groups: readonly ShownGroup[],
  others: number,
  by: string,
  width: number,
): string {
  const fields = GROUP_COLUMNS[by] ?? [];
  const columns: readonly Column<ShownGroup>[] = [
    { head: 'COUNT', cell: ({ count }) => String(count), right: true },
    { head: 'NEWEST', cell: ({ example }) => printable(example['uuid']), drop: 1 },
    ...fields.map((name, at) => ({
      head: name.toUpperCase(),
      cell: ({ filter }: ShownGroup) => printable(filter[name] === '' ? '-' : filter[name]),
      ...(at === fields.length - 1 ? { cut: REASON_WIDTH_MIN } : {}),
    })),
  ];
  const rest = others === 0 ? '' : `${others} more in other groups\n`;
  return table(columns, groups, width) + rest;
}

/** @param now milliseconds since 1970 */
export function historyText(history: Facts, now: number, width: number): string {
  const state = printable(history['state']);
  const style = STYLES[state];
  const lines: (readonly [name: string, value: string])[] = [
    ['uuid', printable(history['uuid'])],
    ['service', printable(history['service'])],
    ...(typeof history['group'] === 'string'
      ? [['group', printable(history['group'])] as const]
      : []),
    ['owner', ownerOf(history)],
    ['state', style === undefined ? state : styled(state, style)],
    ['accepted', timeOf(history['acceptedAt'], now)],
    ...delayOf(history, now),
    ['expires', expiryOf(history, now)],
    ['priority', printable(history['priority'])],
    ['failed', failedText(history)],
    ['backoff', backoffOf(history['backoff'])],
    ['key', history['hasKey'] === true ? 'yes' : 'none'],
    ['body', sizeText(history['bodyBytes'])],
    ...kindOf(history),
    ...othersOf(history),
    ...endOf(history, now),
  ];
  const longest = Math.max(...lines.map(([name]) => name.length));
  const facts = lines.map(([name, value]) => `${name.padEnd(longest)}  ${value}\n`).join('');
  return facts + deliveriesOf(history, width) + detailOf(history);
}

/** What is shown in the lines above, or below them, or not at all. */
const KNOWN = [
  ...[
    'uuid',
    'kind',
    'service',
    'group',
    'owner',
    'shared',
    'partner',
    'state',
    'acceptedAt',
    'notBefore',
    'expiresAt',
  ],
  ...['priority', 'attempts', 'maxAttempts', 'attemptsEver', 'backoff', 'generation', 'hasKey'],
  ...[
    'bodyBytes',
    'reason',
    'reasonAt',
    'reply',
    'death',
    'waiting',
    'delivery',
    'deliveries',
    'showsBodies',
  ],
];

/** Fields without words of their own here, such as those of a later broker: under their names. */
function othersOf(history: Facts): (readonly [name: string, value: string])[] {
  return Object.entries(history)
    .filter(([name]) => !KNOWN.includes(name))
    .map(([name, value]) => [
      printable(name.replaceAll(/[A-Z]/g, (c) => ` ${c.toLowerCase()}`)),
      printable(value ?? 'none'),
    ]);
}

/** What it is unless a request, and the webhook of a request or the request of a webhook. */
function kindOf({ kind, partner }: Facts): (readonly [name: string, value: string])[] {
  const isRequest = kind === 'request' || kind === undefined;
  const other = typeof partner === 'string' ? printable(partner) : null;
  return [
    ...(isRequest ? [] : [['kind', printable(kind)] as const]),
    ...(other === null ? [] : [[isRequest ? 'webhook' : 'tells of', other] as const]),
  ];
}

/** Says until when a request is not given to a worker; nothing once that is over. */
function delayOf({ notBefore }: Facts, now: number): (readonly [name: string, value: string])[] {
  return Date.parse(String(notBefore)) > now ? [['not before', timeOf(notBefore, now)]] : [];
}

/** Attempts of its present life, and of all: `durable retry` gives a dead one another life. */
function failedText(history: Facts): string {
  const { attemptsEver, generation } = history;
  const retries = typeof generation === 'number' && generation > 0 ? generation : 0;
  const retried = retries === 0 ? '' : `, retried after its death: ${retries}`;
  return `${failedOf(history)} attempts, ${printable(attemptsEver)} in total${retried}`;
}

/** Says when a request expires. After an attempt or its end, it is not known from when its time to live counted. */
function expiryOf({ state, attempts, notBefore, expiresAt }: Facts, now: number): string {
  const expires = timeOf(expiresAt, now);
  const ttlMs = Date.parse(String(expiresAt)) - Date.parse(String(notBefore));
  const isFirst = state === 'pending' && attempts === 0 && ttlMs > 0;
  return isFirst ? `${expires}, ${duration(ttlMs)} after it may first run` : expires;
}

function ownerOf({ owner, shared }: Facts): string {
  const name = typeof owner === 'string' ? printable(owner) : 'none';
  return shared === true ? `${name}, shared with every holder of the uuid` : name;
}

function endOf(history: Facts, now: number): (readonly [name: string, value: string])[] {
  const delivery = factsIn(history['delivery']);
  const reply = factsIn(history['reply']);
  const death = factsIn(history['death']);
  const waiting = factsIn(history['waiting']);
  const waits = waiting && waitingText(waiting, now);
  const at = delivery && `${workerOf(delivery)}, since ${timeOf(delivery['startedAt'], now)}`;
  const sent = reply && `${sizeText(reply['bytes'])} of worker ${workerOf(reply)}`;
  // Without a token, the reason is null.
  const died =
    death && `${timeOf(death['diedAt'], now)}: ${printable(death['reason'] ?? NEEDS_TOKEN)}`;
  return [
    ...(waits === null ? [] : [['waiting', waits] as const]),
    ...(at === null ? [] : [['at worker', at] as const]),
    ...(sent === null ? [] : [['reply', `${sent}, ${timeOf(reply?.['repliedAt'], now)}`] as const]),
    ...(died === null ? [] : [['died', died] as const]),
  ];
}

/** Why it waits: until when, or since when. */
function waitingText({ text, until, since }: Facts, now: number): string {
  const before = typeof until === 'string' ? `until ${timeOf(until, now)}: ` : '';
  const after = typeof since === 'string' ? `, since ${timeOf(since, now)}` : '';
  return before + printable(text) + after;
}

/** The detail of the last failure that had one: at most 4 KiB, from another program. */
function detailOf(history: Facts): string {
  const frames = listIn(history['deliveries'])
    .map(({ failure }) => factsIn(failure)?.['detail'])
    .findLast((detail): detail is unknown[] => Array.isArray(detail) && detail.length > 0);
  if (frames === undefined) return '';
  const texts = frames.map((each) => {
    const { encoding, data } = factsIn(each) ?? {};
    const text = typeof data === 'string' ? data : '';
    return encoding === 'base64' ? `${text} (base64)` : terminalSafe(text).trimEnd();
  });
  return `\ndetail of the last failure\n${texts.join('\n')}\n`;
}

const DELIVERIES: readonly Column<Facts>[] = [
  {
    head: 'WORKER',
    cell: (delivery) => (isRetry(delivery) ? '-' : workerOf(delivery)),
    drop: 2,
  },
  field('STARTED', 'startedAt', { drop: 3 }),
  { head: 'TOOK', cell: tookText, right: true, drop: 1 },
  lockedField('REASON', 'reason', { cut: REASON_WIDTH_MIN }),
];

function tookText(delivery: Facts): string {
  const { startedAt, endedAt } = delivery;
  const tookMs = Date.parse(String(endedAt)) - Date.parse(String(startedAt));
  return isRetry(delivery) || Number.isNaN(tookMs) ? '-' : `${tookMs} ms`;
}

/** Whether an operator retried the request: it was no delivery to a worker. */
function isRetry({ worker }: Facts): boolean {
  return worker === '';
}

/** The number of a worker, and its name and address as far as they are known. */
function workerOf({ worker, workerName, workerAddress }: Facts): string {
  const known = [workerName, workerAddress].filter((each) => typeof each === 'string');
  const number = printable(worker);
  return known.length === 0 ? number : `${number} (${known.map(printable).join(', ')})`;
}

function deliveriesOf(history: Facts, width: number): string {
  const list = listIn(history['deliveries']);
  if (list.length === 0) return '';
  return `\ndeliveries that ended without a reply, and retries\n${table(DELIVERIES, list, width)}`;
}

function backoffOf(given: unknown): string {
  const backoff = factsIn(given);
  if (backoff === null) return "the broker's";
  return `${printable(backoff['baseMs'])} ms, doubled up to ${printable(backoff['maxMs'])} ms`;
}

/** Attempts that failed: the one that is answered does not count. */
function failedOf({ attempts, maxAttempts }: Facts): string {
  return `${printable(attempts)}/${printable(maxAttempts)}`;
}

function ageOf(time: unknown, now: number): string {
  const ms = Date.parse(String(time));
  return Number.isNaN(ms) ? '-' : duration(Math.max(0, now - ms));
}

/** A time, and its distance from now. */
function timeOf(time: unknown, now: number): string {
  const ms = Date.parse(String(time));
  if (Number.isNaN(ms)) return '-';
  const away = ms <= now ? `${duration(now - ms)} ago` : `in ${duration(ms - now)}`;
  return `${printable(time)} (${away})`;
}
