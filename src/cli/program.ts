/**
 * What the commands of `majordomo` know of the program that they belong to: extensions/cli-commands.ts makes it,
 * src/main.ts passes it to cli/main.ts.
 */
import type { Command } from 'commander';

import type { Extension } from '../node/extension.js';
import type { Done } from './common/options.js';

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

/** The module of a command. */
export interface CommandModule {
  /** Adds arguments, options, examples and the action to a command that already has its name. */
  readonly define: (command: Command, done: Done, program: HelpedProgram) => void;
}

export type Entry = readonly [
  /** `null`: not for people; absent from help and completion. */
  group: keyof typeof GROUPS | null,
  summary: string,
  load: () => Promise<CommandModule>,
];

/** Commands by their names. */
export type Commands = Readonly<Record<string, Entry>>;

export interface Program {
  /** The commands of each extension that has any. */
  readonly commands: readonly Commands[];
  readonly extensions: () => Promise<readonly Extension[]>;
}

export interface HelpedProgram extends Program {
  /** Commands with their arguments and options: all that help shows, or the one of that name. */
  readonly describe: (name?: string) => Promise<readonly Command[]>;
}
