/** Formats numbers and times. An unknown one is a dash. */

export const NONE = '–';

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

/** 0.25, 12.5, 950 */
export function short(value: number): string {
  if (value < 10) return String(Number(value.toFixed(2)));
  if (value < 100) return String(Number(value.toFixed(1)));
  return value.toFixed(0);
}

/** 0, 0.4, 12, 950, 1.25k, 3.1M */
export function compact(value: number | null): string {
  if (value === null) return NONE;
  if (value < 999.5) return short(value);
  if (value < 999_500) return `${short(value / 1000)}k`;
  return `${short(value / 1e6)}M`;
}

/** 12/s */
export function perSecond(value: number | null): string {
  return value === null ? NONE : `${compact(value)}/s`;
}

/** 0.4 %, 41 % */
export function percent(share: number | null): string {
  return share === null ? NONE : `${short(Math.round(share * 1000) / 10)} %`;
}

export function count(value: number | null): string {
  return value === null ? NONE : whole.format(value);
}

/** 1 request, 1,200 requests */
export function plural(amount: number, what: string): string {
  return `${count(amount)} ${what}${amount === 1 ? '' : 's'}`;
}

/** 0.42 ms, 12 ms, 1.2 s, 2.5 min */
export function millis(value: number | null): string {
  if (value === null) return NONE;
  if (value < 999.5) return `${short(value)} ms`;
  if (value < 60_000) return `${short(value / 1000)} s`;
  return span(value);
}

/** The two largest units: 3 d 4 h, 12 min 5 s */
export function span(ms: number | null): string {
  if (ms === null) return NONE;
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ] as const;
  const first = parts.findIndex(([value]) => value > 0);
  if (first < 0) return '0 s';
  return parts
    .slice(first, first + 2)
    .filter(([value], index) => index === 0 || value > 0)
    .map(([value, unit]) => `${value} ${unit}`)
    .join(' ');
}

/** The largest unit of `span`, for columns. */
export function about(ms: number | null): string {
  return span(ms).split(' ').slice(0, 2).join(' ');
}

export function bytes(value: number | null): string {
  if (value === null) return NONE;
  if (value < 1000) return `${value} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let left = value / 1024;
  let unit = 0;
  while (left >= 999.5 && unit < units.length - 1) {
    left /= 1024;
    unit++;
  }
  return `${short(left)} ${units[unit] ?? ''}`;
}

const clockFormat = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });
const dayFormat = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium' });

/** 03:12:45, with the date in front if it is not today. */
export function moment(iso: string | null): string {
  if (iso === null) return NONE;
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return NONE;
  const day = dayFormat.format(date);
  const clock = clockFormat.format(date);
  return day === dayFormat.format(new Date()) ? clock : `${day}, ${clock}`;
}

/** @param at milliseconds since 1970 */
export function momentAt(at: number): string {
  return moment(new Date(at).toISOString());
}

/** Text of a peer, with its lines. Invisible characters are replaced. */
export function lines(written: string): string {
  return written.split(/\r?\n/).map(line).join('\n');
}

/** Text of a peer, in one line. Invisible characters and those that reverse text are replaced. */
export function line(written: string): string {
  return written.replaceAll(/(?!\t)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '\uFFFD');
}
