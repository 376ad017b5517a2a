/** Command lines of a whole file in one process. */
import { afterAll } from '@jest/globals';

import { CommandLines, type Said } from './child.js';

/** Runs a command line in a process for all those of the file, which starts with the first of them. */
export function sharedCommands(): (...line: readonly string[]) => Promise<Said> {
  let lines: CommandLines | null = null;
  afterAll(async () => {
    await lines?.end();
  });
  return async (...line) => await (lines ??= new CommandLines()).run(line);
}
