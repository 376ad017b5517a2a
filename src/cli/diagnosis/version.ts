/** `majordomo version`: what to quote in a report of a problem. */
import type { Command } from 'commander';

import { packageVersion } from '../../core/version.js';
import { addOutputOption, type OutputOptions, tell } from '../common/formats.js';
import { examples } from '../common/options.js';

const EXAMPLES = [
  ['majordomo version', 'this command and the Node.js that runs it'],
  ['majordomo version --json | jq -r .version', 'for scripts'],
  ['majordomo status', 'the version of a running broker'],
] as const;

export function define(command: Command): void {
  addOutputOption(command)
    .addHelpText('after', examples(EXAMPLES))
    .action(async ({ output }: OutputOptions) => {
      const version = packageVersion();
      const node = process.version;
      const platform = `${process.platform}-${process.arch}`;
      const text = `majordomo ${version}, Node.js ${node}, ${platform}\n`;
      await tell(output, { version, node, platform }, text);
    });
}
