/** Shows stored requests. */
import type { Facts } from './ask.js';
import { duration, terminalSafe, printable, type Style, styled, table } from './output.js';
import { shownSize } from './store-file.js';
import { clipped } from './top/fit.js';

const COLUMNS = [
  { head: 'UUID' },
  { head: 'STATE' },
  { head: 'SERVICE' },
  { head: 'PRIORITY', right: true },
  { head: 'ATTEMPTS', right: true },
  { head: 'AGE', right: true },
  { head: 'SIZE', right: true },
] as const;

const REASON = 'REASON';
/** On a narrower terminal lines wrap: a shorter reason would say nothing. */
const REASON_WIDTH_MIN = 24;
const GAP = 2;

const STYLES: Readonly<Record<string, Style>> = {
  dispatched: 'yellow',
  replied: 'green',
  dead: 'red',
};

/**
 * @param now milliseconds since 1970
 * @param columns of the terminal; `Infinity` without one
 */
export function listText(items: readonly Facts[], now: number, columns: number): string {
  const rows = items.map((item) => [
    printable(item['uuid']),
    printable(item['state']),
    printable(item['service']),
    printable(item['priority']),
    attemptsOf(item),
    ageOf(item['acceptedAt'], now),
    sizeOf(item['bodyBytes']),
  ]);
  const used = COLUMNS.reduce((sum, { head }, at) => {
    return sum + Math.max(head.length, ...rows.map((row) => row[at]?.length ?? 0)) + GAP;
  }, 0);
  const width = Math.max(REASON_WIDTH_MIN, columns - used);
  const whole = rows.map((row, at) => [...row, clipped(reasonOf(items[at]?.['reason']), width)]);
  return table([...COLUMNS, { head: REASON }], whole);
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
 * @param columns of the terminal; `Infinity` without one
 */
export function groupsText(
  groups: readonly { readonly filter: Facts; readonly count: number; readonly example: Facts }[],
  others: number,
  by: string,
  columns: number,
): string {
  const fields = GROUP_COLUMNS[by] ?? [];
  const cells = groups.map(({ filter, count, example }) => [
    String(count),
    printable(example['uuid']),
    ...fields.map((field) => printable(filter[field] === '' ? '-' : filter[field])),
  ]);
  const heads = ['COUNT', 'NEWEST', ...fields.map((field) => field.toUpperCase())];
  // The last column has what is left of the terminal.
  const used = heads.slice(0, -1).reduce((sum, head, at) => {
    return sum + Math.max(head.length, ...cells.map((row) => row[at]?.length ?? 0)) + GAP;
  }, 0);
  const width = Math.max(REASON_WIDTH_MIN, columns - used);
  const rows = cells.map((row) => [...row.slice(0, -1), clipped(row.at(-1) ?? '', width)]);
  const shown = heads.map((head) => ({ head, right: head === 'COUNT' }));
  const rest = others === 0 ? '' : `${others} more in other groups\n`;
  return table(shown, rows) + rest;
}

function reasonOf(reason: unknown): string {
  return typeof reason === 'string' ? printable(reason) : '-';
}

/** @param now milliseconds since 1970 */
export function historyText(history: Facts, now: number): string {
  const state = printable(history['state']);
  const style = STYLES[state];
  const lines: (readonly [name: string, value: string])[] = [
    ['uuid', printable(history['uuid'])],
    ['service', printable(history['service'])],
    ['owner', ownerOf(history)],
    ['state', style === undefined ? state : styled(state, style)],
    ['accepted', timeOf(history['acceptedAt'], now)],
    ['not before', timeOf(history['notBefore'], now)],
    ['expires', timeOf(history['expiresAt'], now)],
    ['priority', printable(history['priority'])],
    ['attempts', `${attemptsOf(history)}, ${printable(history['attemptsEver'])} in total`],
    ['backoff', backoffOf(history['backoff'])],
    ['generation', printable(history['generation'])],
    ['key', history['hasKey'] === true ? 'yes' : 'none'],
    ['body', sizeOf(history['bodyBytes'])],
    ...othersOf(history),
    ...endOf(history, now),
  ];
  const width = Math.max(...lines.map(([name]) => name.length));
  const facts = lines.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join('');
  return facts + deliveriesOf(history) + detailOf(history);
}

/** What is shown in the lines above, or below them, or not at all. */
const KNOWN = [
  ...['uuid', 'service', 'owner', 'shared', 'state', 'acceptedAt', 'notBefore', 'expiresAt'],
  ...['priority', 'attempts', 'maxAttempts', 'attemptsEver', 'backoff', 'generation', 'hasKey'],
  ...['bodyBytes', 'reason', 'reasonAt', 'reply', 'death', 'delivery', 'deliveries', 'showsBodies'],
];

/** Fields without words of their own here, such as those of a later broker: under their names. */
function othersOf(history: Facts): (readonly [name: string, value: string])[] {
  return Object.entries(history)
    .filter(([name]) => !KNOWN.includes(name))
    .map(([name, value]) => [
      printable(name.replaceAll(/[A-Z]/g, (c) => ` ${c.toLowerCase()}`)),
      printable(value),
    ]);
}

function ownerOf({ owner, shared }: Facts): string {
  const name = typeof owner === 'string' ? printable(owner) : 'none';
  return shared === true ? `${name}, shared with every holder of the uuid` : name;
}

function endOf(history: Facts, now: number): (readonly [name: string, value: string])[] {
  const reply = objectOf(history['reply']);
  const death = objectOf(history['death']);
  // Without a token, the reason is null.
  const died = death && `${timeOf(death['diedAt'], now)}: ${printable(death['reason'] ?? '-')}`;
  const delivery = objectOf(history['delivery']);
  return [
    ...(delivery === null
      ? []
      : [
          [
            'at worker',
            `${workerOf(delivery)}, since ${timeOf(delivery['startedAt'], now)}`,
          ] as const,
        ]),
    ...(reply === null
      ? []
      : [
          [
            'reply',
            `${sizeOf(reply['bytes'])} of worker ${workerOf(reply)}, ` +
              timeOf(reply['repliedAt'], now),
          ] as const,
        ]),
    ...(died === null ? [] : [['died', died] as const]),
  ];
}

/** The detail of the last failure that had one: at most 4 KiB, from another program. */
function detailOf(history: Facts): string {
  const list: readonly unknown[] = Array.isArray(history['deliveries'])
    ? history['deliveries']
    : [];
  const frames = list
    .map((each) => objectOf(objectOf(each)?.['failure'])?.['detail'])
    .findLast((detail): detail is unknown[] => Array.isArray(detail) && detail.length > 0);
  if (frames === undefined) return '';
  const texts = frames.map((each) => {
    const { encoding, data } = objectOf(each) ?? {};
    const text = typeof data === 'string' ? data : '';
    return encoding === 'base64' ? `${text} (base64)` : terminalSafe(text).trimEnd();
  });
  return `\ndetail of the last failure\n${texts.join('\n')}\n`;
}

const DELIVERY_COLUMNS = [
  { head: 'WORKER' },
  { head: 'STARTED' },
  { head: 'TOOK', right: true },
  { head: 'REASON' },
] as const;

function deliveriesOf(history: Facts): string {
  const list: readonly unknown[] = Array.isArray(history['deliveries'])
    ? history['deliveries']
    : [];
  if (list.length === 0) return '';
  const rows = list.map((each) => {
    const delivery = objectOf(each) ?? {};
    const { startedAt, endedAt } = delivery;
    const tookMs = Date.parse(String(endedAt)) - Date.parse(String(startedAt));
    return [
      delivery['worker'] === '' ? '-' : workerOf(delivery),
      printable(startedAt),
      delivery['worker'] === '' || Number.isNaN(tookMs) ? '-' : `${tookMs} ms`,
      printable(delivery['reason'] ?? '-'),
    ];
  });
  return `\ndeliveries that ended without a reply, and retries\n${table(DELIVERY_COLUMNS, rows)}`;
}

/** Its number, and what is known of it. */
function workerOf({ worker, workerName, workerAddress }: Facts): string {
  const known = [workerName, workerAddress].filter((each) => typeof each === 'string');
  const number = printable(worker);
  return known.length === 0 ? number : `${number} (${known.map(printable).join(', ')})`;
}

function backoffOf(given: unknown): string {
  const backoff = objectOf(given);
  if (backoff === null) return "the broker's";
  return `${printable(backoff['baseMs'])} ms, doubled up to ${printable(backoff['maxMs'])} ms`;
}

function attemptsOf({ attempts, maxAttempts }: Facts): string {
  return `${printable(attempts)}/${printable(maxAttempts)}`;
}

function sizeOf(bytes: unknown): string {
  return typeof bytes === 'number' ? shownSize(bytes) : '-';
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

export function objectOf(value: unknown): Facts | null {
  return typeof value === 'object' && value !== null ? { ...value } : null;
}
