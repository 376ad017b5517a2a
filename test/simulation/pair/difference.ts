/** Whether two stores have the same content, apart from each store's own numbers. */
import type { StoreContent } from '../../support/memory-node-tables.js';
import { digestOf } from '../../support/store-digest.js';

type Plain = Record<string, unknown>;

/**
 * A store's own numbers: of transactions, of requests, and of attempts when a clock was set back.
 */
const NUMBERS = ['changed', 'born', 'number', 'ordinal'];

function withoutNumbers(row: object): Plain {
  const rest = Object.entries(row).filter(([name]) => !NUMBERS.includes(name));
  // The order of fields in an object does not matter.
  rest.sort(([one], [two]) => (one < two ? -1 : 1));
  return Object.fromEntries(rest.map(([name, value]) => [name, plainPart(name, value)]));
}

function plainPart(name: string, value: unknown): unknown {
  if (name === 'request') return withoutNumbers(value as object);
  if (name !== 'attempts' || !Array.isArray(value)) return value;
  return value.map((attempt: object) => JSON.stringify(withoutNumbers(attempt))).sort();
}

/** @returns what differs, or `null` */
export function differenceOf(one: StoreContent, two: StoreContent): string | null {
  for (const what of ['requests', 'keys'] as const) {
    const [left, right] = [one, two].map((content) =>
      content[what].map(withoutNumbers).map((row) => ({ row, digest: digestOf(row) })),
    );
    const known = new Set(right?.map(({ digest }) => digest));
    const other = new Set(left?.map(({ digest }) => digest));
    const rows = [
      ...(left?.filter(({ digest }) => !known.has(digest)) ?? []),
      ...(right?.filter(({ digest }) => !other.has(digest)) ?? []),
    ];
    if (rows.length > 0) return `the stores differ in ${what}: ${JSON.stringify(rows)}`;
  }
  return null;
}
