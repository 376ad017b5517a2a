/**
 * The numbers that cross a border (D104): from a peer, a client, another broker, a file, a database.
 * Whoever takes one in adds to it, stores it or shows it, so each kind has a bound far below that of
 * exact integers (2^53): what follows from a number within it is exact, can be stored, and is a date.
 */

/** How many there are of something: bytes, attempts, requests. */
export const COUNT_MAX: number = 2 ** 48 - 1;
/** The place of something in an order: 1, 2, 3 …; 0: before the first. */
export const SEQUENCE_MAX: number = 2 ** 48 - 1;
/** Priorities are from -100 to 100. */
export const PRIORITY_MAX = 100;
/** The longest name of a service, in bytes. */
export const SERVICE_NAME_BYTES_MAX = 255;
/** The longest name of a group, in bytes of UTF-8; none is empty (D118). */
export const GROUP_BYTES_MAX = 255;
/** Milliseconds since 1970, up to the end of the year 9999. ISO 8601 has four digits for a year. */
export const WALL_MS_MAX: number = Date.UTC(10_000, 0) - 1;
/** Microseconds since 1970, where they count: exact up to the year 2255. */
export const WALL_US_MAX: number = Number.MAX_SAFE_INTEGER;
/** Milliseconds: almost 35 years. */
export const DURATION_MS_MAX: number = 2 ** 40 - 1;
/**
 * The number of a store's transaction: which opening of the store it belongs to, above 32 bits that
 * count within it. Hence it may be above a sequence; the next opening still has exact numbers.
 */
export const TRANSACTION_MAX: number = 2 ** 52 - 1;

export function isWhole(value: unknown, min: number, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
}

export function isCount(value: unknown): value is number {
  return isWhole(value, 0, COUNT_MAX);
}

export function isSequence(value: unknown): value is number {
  return isWhole(value, 0, SEQUENCE_MAX);
}

export function isWallTime(value: unknown): value is number {
  return isWhole(value, 0, WALL_MS_MAX);
}

export function isDuration(value: unknown): value is number {
  return isWhole(value, 0, DURATION_MS_MAX);
}

export function isTransaction(value: unknown): value is number {
  return isWhole(value, 0, TRANSACTION_MAX);
}

/**
 * The next number of our own after `taken`, which came from elsewhere. One that is so high that few
 * would be left above it does not move ours.
 */
export function nextAfter(next: number, taken: number): number {
  return taken <= SEQUENCE_MAX / 2 ? Math.max(next, taken + 1) : next;
}
