import type { z } from 'zod';

import type { ListenerConfig, PublisherConfig } from './entries.js';
import type { wholeSchema } from './schema.js';

type Given = z.output<ReturnType<typeof wholeSchema>>;

type Effective<Value> = Value extends undefined
  ? never
  : Value extends readonly (infer Item)[]
    ? readonly Item[]
    : Readonly<Value>;

/**
 * The effective configuration: every key of every section, sizes in bytes, durations in
 * milliseconds, `broker.listen` as a list of listeners; absent optional keys are null.
 */
export type Config = {
  readonly [Section in keyof Given]: {
    readonly [Key in keyof Given[Section]]-?: Effective<Given[Section][Key]>;
  };
};

/** The sections whose `listen` may name files of secret keys. */
export type ListeningSection = {
  readonly [Name in keyof Config]: Config[Name] extends {
    readonly listen: readonly ListenerConfig[] | PublisherConfig | null;
  }
    ? Name
    : never;
}[keyof Config];
