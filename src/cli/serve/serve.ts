/** `majordomo serve`: runs the node in the foreground until a signal ends it. */
import type { Command } from 'commander';

import type { Config } from '../../config/config.js';
import { refuseExposed } from '../../config/io/exposure.js';
import { BROKER_ENDPOINT, HTTP_ADDRESS } from '../../core/defaults.js';
import { load } from '../common/load-config.js';
import { requireNativeModules, requireSystem } from './native.js';
import { addConfigOptions, type ConfigOptions, type Done, examples } from '../common/options.js';
import { commandName } from '../common/output.js';
import type { Program } from '../program.js';
import { setV8Flags } from './v8-flags.js';

const EXAMPLES = [
  ['majordomo serve', `the defaults: ${BROKER_ENDPOINT}, data in ./data`],
  ['majordomo serve -c /etc/majordomo.yaml', 'a configuration file'],
  ['majordomo serve --set broker.listen=tcp://127.0.0.1:6555', 'one key; overrides the file'],
  ["majordomo serve --set 'broker.listen=[tcp://[::1]:5555, ipc:///run/mdp]'", 'values are YAML'],
  ['majordomo serve --init -c majordomo.yaml', 'create the keys that the listeners name'],
  ['MAJORDOMO_LOG__LEVEL=debug majordomo serve', 'set a key by an environment variable'],
  ['kill -HUP PID', 'reload the configuration'],
  ['kill PID', 'drain, then exit; twice: exit at once'],
] as const;

interface ServeOptions extends ConfigOptions {
  readonly init?: true;
  readonly newStore?: true;
}

const AFTER = `${examples(EXAMPLES)}
Started on a terminal, it also ends when that is closed.
The data directory records the identity of its store. If the store is missing, damaged or a different one,
serve exits with 74 and says what to do. --new-store accepts the store that is there, or starts with an
empty one; a store that is unreadable, or of a development version, is moved aside, and nothing is
deleted. It applies once: after a start with --new-store, it has no effect until a start without it. In
a pair, the peer then sends its whole store.
`;

export function define(command: Command, done: Done, program: Program): void {
  addConfigOptions(command)
    .option('--init', 'create missing key files that curve names, and a key for a first client')
    .option('--new-store', 'accept a store other than the one that the data directory records')
    .addHelpText('after', AFTER)
    .action(async (options: ServeOptions) => {
      requireSystem(process.platform, process.arch);
      const reload = (): ReturnType<typeof load> => load(options);
      const loaded = reload();
      await refuseExposed(loaded);
      await requireNativeModules(loaded.config);
      if (options.init === true) await reportFirstKeys(loaded.config);
      const { serve } = await import('../../node/serve.js');
      const isNewStore = options.newStore === true;
      const order = { loaded, reload, isNewStore, extensions: await program.extensions() };
      const status = await serve(order, (node) => {
        setV8Flags();
        // Without a terminal (a service manager, a container, a file) the log is enough.
        if (options.config !== undefined || !process.stderr.isTTY) return;
        const ofMdp = loaded.config.broker.listen.findIndex(({ service }) => service === null);
        const endpoint = node.endpoints[ofMdp];
        if (endpoint === undefined) return;
        process.stderr.write(whatNext(endpoint, node.endpoints, node.http));
      });
      done(status);
    });
}

async function reportFirstKeys(config: Config): Promise<void> {
  const { makeFirstKeys } = await import('./first-keys.js');
  const { loadSodium } = await import('../../zmtp/curve/sodium.js');
  const lines = makeFirstKeys(config, await loadSodium());
  if (lines.length > 0) process.stderr.write(`${lines.join('\n')}\n`);
}

/**
 * Text for the first start, without a configuration file: three commands to try, and how it is stopped.
 * @param endpoint where the commands connect
 */
function whatNext(endpoint: string, endpoints: readonly string[], http: string | null): string {
  const isDefault = endpoint === BROKER_ENDPOINT;
  const where = [...endpoints, ...(http === null ? [] : [http])];
  // `services` asks over HTTP, at the default address.
  const look = http === `http://${HTTP_ADDRESS}` ? '' : ` --endpoint ${endpoint}`;
  const at = isDefault ? '' : ` --endpoint ${endpoint}`;
  const command = commandName();
  return [
    '',
    `Majordomo listens on ${where.join(', ')}. In other terminals, try:`,
    '',
    // No comments behind the commands: zsh would pass a comment on as arguments.
    'Offer a command as a service, until Ctrl-C:',
    `  ${command} worker upper${at} -- tr a-z A-Z`,
    'Send it a request, which prints HELLO:',
    `  ${command} request upper hello${at}`,
    'List services and their load:',
    `  ${command} services${look}`,
    'Stop this broker, here with Ctrl-C or from there:',
    `  kill ${process.pid}`,
    '',
    '',
  ].join('\n');
}
