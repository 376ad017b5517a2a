/**
 * The kit of the tables of events. Each machine declares what it reports once: the types of its events, the lines of
 * the log, what strangers get over HTTP, and the tables of docs/logs.md are made of that.
 */

/** The level of an event in the log, and its severity over HTTP. */
export type Level = 'info' | 'warn' | 'error';

/** A field of an event. */
export interface Field<Value> {
  /** The type of the value in JSON. */
  readonly type: string;
  /** What the value is; empty: the name of the field says it. */
  readonly about: string;
  /** The only values that it can have, each with its meaning, which may be empty. */
  readonly words?: Readonly<Record<string, string>>;
  /** Who named or wrote the value: strangers do not get it. */
  readonly author?: 'peer' | 'client' | 'operator' | 'worker';
  /** For the compiler only. */
  readonly value?: Value;
}

type FieldTable = Readonly<Record<string, Field<unknown>>>;

export type ValueOf<Of> = Of extends Field<infer Value> ? Value : never;
export type ValuesOf<Fields> = { readonly [Name in keyof Fields]: ValueOf<Fields[Name]> };

/** Makes fields of events; `about` is for documents. */
export const field = {
  string: (about = '', author?: NonNullable<Field<string>['author']>): Field<string> => ({
    type: 'string',
    about,
    ...(author === undefined ? {} : { author }),
  }),
  number: (about = ''): Field<number> => ({ type: 'number', about }),
  boolean: (about = ''): Field<boolean> => ({ type: 'boolean', about }),
  list: <Item = string>(about: string): Field<readonly Item[]> => ({ type: 'array', about }),
  /** A field that may also be `null`; the `about` of `of` says when. */
  orNull: <Value>(of: Field<Value>): Field<Value | null> => ({ ...of, type: `${of.type} | null` }),
  /** A field whose value is one of these words, each with its meaning, which may be empty. */
  oneOf: <Word extends string>(words: Readonly<Record<Word, string>>, about = ''): Field<Word> => ({
    type: 'string',
    about,
    words,
  }),
};

/** How the log limits the lines of an event, and what else depends on one; all are optional. */
interface Rules<Event> {
  /** What has happened, for documents; absent: the text says it. */
  readonly when?: string;
  /** The metrics that each event raises by one, without their prefix. */
  readonly counted?: string;
  /** Values of its field `reason` with which it is nothing to worry about: the level is info. */
  readonly usual?: readonly string[];
  /** Fields of which each value makes a kind of its own. The log writes one line of a kind a second. */
  readonly by?: readonly (keyof Event & string)[];
  /** Who provoked it: lines of a kind are limited for each of them; `null`: for all together. */
  readonly who?: (event: Event) => string | null;
  /** What this event and others tell the state of: their lines keep their order. */
  readonly subject?: string;
  /** For how long a kind is silent after a line, in milliseconds. */
  readonly silentMs?: (event: Event) => number | undefined;
}

/** An event of any machine, in its table. */
export interface EventKind<Fields = FieldTable, Event = never, Of = Level> extends Rules<Event> {
  readonly level: Of;
  /** The text of the line in the log; `{name}` stands for a field. */
  readonly text: string | ((event: Event) => string);
  readonly fields: Fields;
}

export type EventTable = Readonly<Record<string, EventKind>>;

/** A text that names a field which the event does not have is none. */
type Placed<Text, Fields> = Text extends `${string}{${infer Name}}${infer Rest}`
  ? Name extends keyof Fields
    ? Placed<Rest, Fields>
    : never
  : unknown;

/** Makes the events of a level; in place of rules, a string is `when`. */
function at<Of>(level: Of) {
  return <Fields extends FieldTable, Text extends string>(
    text: (Text & Placed<Text, Fields>) | ((event: ValuesOf<Fields>) => string),
    fields: Fields,
    rules: Rules<ValuesOf<Fields>> | string = {},
  ): EventKind<Fields, ValuesOf<Fields>, Of> => ({
    level,
    text,
    fields,
    ...(typeof rules === 'string' ? { when: rules } : rules),
  });
}

/** A step of a request; its text is for documents. */
export const debug = at('debug' as const);
export const info = at('info' as const);
export const warn = at('warn' as const);
export const error = at('error' as const);
export const fatal = at('fatal' as const);

/** The text of an event's line. */
export function textOf({ text }: EventKind, event: NamedEvent): string {
  // A row is typed by its own event; here it may be any.
  if (typeof text !== 'string') return text(event as never);
  const values = event as NamedEvent & Readonly<Record<string, unknown>>;
  return text.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name]));
}

/** The events of a table, or one of them, as a machine emits them. */
export type EventOf<Table, Names extends keyof Table = keyof Table> = {
  readonly [Name in Names]: { readonly name: Name } & (Table[Name] extends { fields: infer Fields }
    ? ValuesOf<Fields>
    : never);
}[Names];

/** An event of any table. */
export interface NamedEvent {
  /** `noun.participle`. */
  readonly name: string;
}

export interface EventSink<Event> {
  emit(event: Event): void;
}

/** Calls each sink, in order. */
export function tee<Event>(...sinks: readonly EventSink<Event>[]): EventSink<Event> {
  return {
    emit: (event) => {
      for (const each of sinks) each.emit(event);
    },
  };
}
