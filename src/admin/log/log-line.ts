/** A line of the log, before it is written. */

export type Level = 'info' | 'warn' | 'error';

export interface Line {
  readonly level: Level;
  /** The log writes at most one line of a kind per second. */
  readonly kind: string;
  readonly text: string;
  /** Who provoked it: lines of a kind are limited for each of them. */
  readonly who?: string;
}

export function lineOfKind(level: Level, kind: string, text: string): Line {
  return { level, kind, text };
}

/** Who provoked a line, for people. */
export interface Origin {
  readonly key: string | null;
  readonly address: string;
}

export function whoseOf({ key, address }: Origin): string {
  return key === null ? `address ${address}` : `key ${key}`;
}

/** The line of a connection that was ended. @param what `a connection to …` */
export function rejectedLine({ name, kind, address, reason }: Rejection, what: string): Line {
  const who = address || 'an unknown address';
  const text = `${what} from ${who} was closed: ${reason}`;
  return { ...lineOfKind('warn', `${name} ${kind}`, text), who };
}

interface Rejection {
  readonly name: string;
  readonly kind: string;
  readonly reason: string;
  readonly address: string;
}
