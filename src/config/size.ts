import { isCount } from '../core/numbers.js';

const SIZE = /^(\d{1,15}) ?(KiB|MiB|GiB|TiB)?$/;

const UNITS: Readonly<Record<string, number>> = {
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** The form of a size given as text, for the JSON Schema. */
export const SIZE_PATTERN: string = SIZE.source;

/** `16MiB`, `4096` or 4096 as bytes; null if it is not a size. */
export function parseSize(value: number | string): number | null {
  if (typeof value === 'number') return isCount(value) ? value : null;
  const match = SIZE.exec(value);
  if (match === null) return null;
  const bytes = Number(match[1]) * (match[2] === undefined ? 1 : (UNITS[match[2]] ?? 1));
  return isCount(bytes) ? bytes : null;
}

/** Bytes in the largest unit that shows them exactly: 16777216 → `16MiB`. */
export function formatSize(bytes: number): string {
  for (const unit of ['TiB', 'GiB', 'MiB', 'KiB']) {
    const factor = UNITS[unit] ?? 1;
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${unit}`;
  }
  return String(bytes);
}
