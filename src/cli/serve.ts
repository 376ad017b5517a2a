/** `majordomo serve`: runs the daemon in the foreground until a signal ends it. */
import { setFlagsFromString } from 'node:v8';

import type { Command } from 'commander';

import { load } from './config-options.js';
import { addConfigOptions, type ConfigOptions, type Done, examples } from './options.js';

const EXAMPLES = [
  ['majordomo serve', 'the defaults: tcp://127.0.0.1:5555, data in ./data'],
  ['majordomo serve -c /etc/majordomo.yaml', 'a configuration file'],
  ['majordomo serve --set broker.listen=tcp://0.0.0.0:5555', 'one key; it wins over the file'],
  ["majordomo serve --set 'broker.listen=[tcp://*:5555, ipc:///run/mdp]'", 'values are YAML'],
  ['MAJORDOMO_LOG__LEVEL=debug majordomo serve', 'by a variable'],
  ['kill -HUP PID', 'reread the configuration'],
  ['kill PID', 'drain, then exit; twice: exit at once'],
] as const;

export function defineServe(command: Command, done: Done): void {
  addConfigOptions(command)
    .addHelpText('after', examples(EXAMPLES))
    .action(async (options: ConfigOptions) => {
      const reload = (): ReturnType<typeof load> => load(options);
      const loaded = reload();
      inlineMore();
      const { serve } = await import('../daemon/serve.js');
      const status = await serve(loaded, reload, (daemon) => {
        if (options.config !== undefined) return;
        // In the next turn signals are handled: whoever reads this may send one.
        setImmediate(() => process.stderr.write(whatNext(daemon.endpoints, daemon.http)));
      });
      done(status);
    });
}

/**
 * A message passes through some fifty small functions. V8 compiles so much of them into one as these
 * limits allow; with four times its defaults a request takes 0.83 of the CPU time where peers batch.
 * Before the daemon is loaded, so that all of it is compiled under them. (docs/adr/0002)
 */
function inlineMore(): void {
  setFlagsFromString('--max-inlined-bytecode-size=2000');
  setFlagsFromString('--max-inlined-bytecode-size-cumulative=4000');
}

/** For the first start, without a configuration file: three things to try. */
function whatNext(endpoints: readonly string[], http: string | null): string {
  const endpoint = endpoints[0] ?? '';
  const isDefault = endpoint === 'tcp://127.0.0.1:5555';
  const where = [...endpoints, ...(http === null ? [] : [http])];
  // `services` asks over HTTP, where it is by default.
  const look = http === 'http://127.0.0.1:5580' ? '' : ` --endpoint ${endpoint}`;
  const at = isDefault ? '' : ` --endpoint ${endpoint}`;
  return [
    '',
    `Majordomo listens on ${where.join(', ')}. In other terminals, try:`,
    '',
    `  node dist/main.js worker upper${at} -- tr a-z A-Z    # any command is a service`,
    `  node dist/main.js request upper hello${at}           # prints HELLO`,
    `  node dist/main.js services${look}                      # what is served, and how busy`,
    '',
    '',
  ].join('\n');
}
