/** What the log says of an event. Each machine's events have a table of lines, by the events' names. */
import { present } from '../../core/assert.js';

export type Level = 'info' | 'warn' | 'error';

export interface Line {
  readonly level: Level;
  /** The log writes at most one line of a kind per second, or per `silentMs`. */
  readonly kind: string;
  readonly silentMs?: number;
  readonly text: string;
  /** Who provoked it: lines of a kind are limited for each of them. */
  readonly who?: string;
  /** What this event and others tell the state of: their lines keep their order. */
  readonly subject?: string;
}

/** An event of any machine. */
export interface NamedEvent {
  /** `noun.participle`. */
  readonly name: string;
}

/**
 * The line of each event of a machine. The names are also the topics of `events.listen`, and docs/logs.md
 * has each of them.
 */
export type LinesOf<Event extends NamedEvent> = {
  readonly [Name in Event['name']]: (event: Extract<Event, { readonly name: Name }>) => Line;
};

/** The tables of lines of any machines. */
export type Lines = Readonly<Record<string, (event: never) => Line>>;

/** @param event of a machine whose table is among them */
export function lineOf(lines: Lines, event: NamedEvent): Line {
  // The table of a machine's events has a line for each of their types, by name.
  return present(lines[event.name], 'each event has a line')(event as never);
}

export function lineOfKind(level: Level, kind: string, text: string): Line {
  return { level, kind, text };
}

/** Who provoked a line, for people. */
export interface PeerRef {
  readonly key: string | null;
  readonly address: string;
}

export function whoseOf({ key, address }: PeerRef): string {
  return key === null ? `address ${address}` : `key ${key}`;
}

/** How long a kind is silent after a line about an address: a health check comes and leaves every second or two. */
const SILENT_MS: Readonly<Record<string, number>> = { handshake_cut: 600_000 };

/** The line of a connection that was ended. @param what `a connection to …` */
export function rejectedLine({ name, kind, address, reason }: Rejection, what: string): Line {
  const who = address || 'an unknown address';
  const text = `${what} from ${who} was closed: ${reason}`;
  const silentMs = SILENT_MS[kind];
  const line = { ...lineOfKind('warn', `${name} ${kind}`, text), who };
  return silentMs === undefined ? line : { ...line, silentMs };
}

interface Rejection {
  readonly name: string;
  readonly kind: string;
  readonly reason: string;
  readonly address: string;
}
