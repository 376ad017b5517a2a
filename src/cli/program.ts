/** What `majordomo` consists of, for its commands: main.ts hands it in. */
import type { Command } from 'commander';

import type { Extension } from '../node/extension.js';
import type { Done } from './options.js';

/** Adds arguments, options, examples and the action to a command that already has its name. */
export type Define = (command: Command, done: Done, program: Program) => void;

/** The headings of `majordomo help`, in their order. */
export const GROUPS = {
  serve: 'Serve and check:',
  requests: 'Requests:',
  durable: 'Durable requests:',
  services: 'Services and workers:',
  pair: 'Pair and fleet:',
  keys: 'Keys:',
  diagnosis: 'Diagnosis:',
} as const;

export interface Entry {
  /** `null`: not for people; absent from help and completion. */
  readonly group: keyof typeof GROUPS | null;
  readonly summary: string;
  readonly load: () => Promise<Define>;
}

/** Commands by their names. */
export type Commands = Readonly<Record<string, Entry>>;

export interface Program {
  /** Of each extension that has any. */
  readonly commands: readonly Commands[];
  readonly extensions: () => Promise<readonly Extension[]>;
}
