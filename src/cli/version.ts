/** `majordomo version`: what to quote in a report of a problem. */
import type { Command } from 'commander';

import { EXIT } from '../core/exit.js';
import { packageVersion } from '../core/version.js';
import { addOutputOption, type Done, examples, type OutputFormat } from './options.js';
import { print, printJson } from './output.js';

const EXAMPLES = [
  ['majordomo version', 'this command and the Node.js that runs it'],
  ['majordomo version --json | jq -r .version', 'for scripts'],
  ['majordomo status', 'the version of a running broker'],
] as const;

export function defineVersion(command: Command, done: Done): void {
  addOutputOption(command)
    .addHelpText('after', examples(EXAMPLES))
    .action(async ({ output }: { readonly output: OutputFormat }) => {
      const version = packageVersion();
      const node = process.version;
      const platform = `${process.platform}-${process.arch}`;
      if (output === 'json') await printJson({ version, node, platform });
      else await print(`majordomo ${version}, Node.js ${node}, ${platform}\n`);
      done(EXIT.done);
    });
}
