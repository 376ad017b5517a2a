/** `majordomo doctor`: checks this machine and configuration for common problems. */
import { join } from 'node:path';

import { type Command, Option } from 'commander';

import type { Loaded } from '../../config/io/load.js';
import { problemLine } from '../../config/problem.js';
import { messageOf } from '../../core/errors.js';
import { EXIT } from '../../core/exit.js';
import { enabledExtensions } from '../../config/enabled.js';
import type { Extension } from '../../node/extension.js';
import { Broker } from '../connection/broker.js';
import { addAdminOptions, type BrokerOptions } from '../connection/options.js';
import { dataDirectory, freeSpace, isInUse, store } from './checkup/data-directory.js';
import { exposed } from './checkup/exposed.js';
import { type Finding, ok, problem, type State, warning } from '../../core/finding.js';
import { http } from './checkup/http.js';
import { curveKeys } from './checkup/keys.js';
import { listeners, peerListener } from './checkup/listeners.js';
import { clock, descriptors, memory } from './checkup/machine.js';
import { sqlite, zeromq } from './checkup/native.js';
import { ANSWER_MS } from './checkup/port.js';
import { listening } from './checkup/refusals.js';
import { nodeVersion, runtime } from './checkup/runtime.js';
import { load } from '../common/load-config.js';
import { addOutputOption, type OutputOptions, tell } from '../common/formats.js';
import { type Done, examples, integerOption } from '../common/options.js';
import { counted, printable, say, type Style, styled } from '../common/output.js';
import type { Program } from '../program.js';

interface DoctorOptions extends BrokerOptions, OutputOptions {
  readonly listen?: number;
  readonly to?: readonly string[];
  readonly ca?: string;
}

const LISTEN_SECONDS_MAX = 3600;

const EXAMPLES = [
  ['majordomo doctor', 'before the first start'],
  ['majordomo doctor -c /etc/majordomo.yaml', 'with the configuration file of the broker'],
  ['majordomo doctor --to tcp://gpu1:5555', 'and a server of majordomo worker --to'],
  ['majordomo doctor --listen 30', 'and whom the running broker refuses, and why'],
  ['majordomo doctor -o json | jq \'.checks[] | select(.state != "ok")\'', 'for scripts'],
] as const;

const AFTER = `${examples(EXAMPLES)}
Changes nothing. Run it as the user that runs the broker. With --listen it also reads the events of the running
broker over HTTP: the latest ones, and those that happen meanwhile. It explains each refusal of a peer: who it
was, what it sent, the rule, and what to do. --admin, --token and the options for keys are for that. Exit status: 0 if there is no problem
(warnings are allowed), 1 if there is one.
`;

export function define(command: Command, done: Done, program: Program): void {
  command.addOption(
    integerOption(
      '--listen <seconds>',
      'also explain whom the running broker refused lately, or refuses within that time',
      1,
      LISTEN_SECONDS_MAX,
    ),
  );
  command
    .addOption(
      new Option(
        '--to <url>',
        'also look whether a server of majordomo worker --to is there; it gets no request; can be repeated',
      ).argParser((url: string, before?: readonly string[]) => [...(before ?? []), url]),
    )
    .option('--ca <file>', 'as for majordomo worker');
  addOutputOption(addAdminOptions(command))
    .addHelpText('after', AFTER)
    .action(async (options: DoctorOptions) => {
      const checks = await examine(options, program);
      const count = (state: State): number => checks.filter((each) => each.state === state).length;
      const [warnings, problems] = [count('warning'), count('problem')];
      const sum = `${counted(problems, 'problem')}, ${counted(warnings, 'warning')}\n`;
      await tell(options.output, { problems, warnings, checks }, checks.map(lines).join('') + sum);
      done(problems === 0 ? EXIT.done : EXIT.failed);
    });
}

async function examine(options: DoctorOptions, program: Program): Promise<readonly Finding[]> {
  const { loaded, findings } = configuration(options);
  const usesLibzmq = loaded !== null && enabledExtensions(loaded.config).has('libzmq');
  return [
    nodeVersion(),
    await runtime(),
    await zeromq(usesLibzmq),
    await sqlite(),
    clock(),
    ...findings,
    ...(loaded === null ? [] : await ofConfiguration(loaded, await program.extensions())),
    ...(await serversOf(options)),
    ...(options.listen === undefined ? [] : await listened(options, options.listen)),
  ];
}

async function serversOf({ to = [], ca }: DoctorOptions): Promise<readonly Finding[]> {
  if (to.length === 0 && ca === undefined) return [];
  const { serverFindings } = await import('../requests/bridge/check.js');
  return await serverFindings(to, ca);
}

async function listened(options: DoctorOptions, seconds: number): Promise<readonly Finding[]> {
  say(`listening for ${counted(seconds, 'second')}`);
  const broker = new Broker({ ...options, timeoutMs: ANSWER_MS });
  return await listening(() => broker.admin(), seconds);
}

async function ofConfiguration(
  loaded: Loaded,
  extensions: readonly Extension[],
): Promise<readonly Finding[]> {
  const { config } = loaded;
  const enabled = enabledFrom(loaded, extensions);
  // A store in a database is asked in the place of the file.
  const [ofStore = null] = enabled.filter(({ openStore }) => openStore !== undefined);
  const ports = enabled.reduce((sum, each) => sum + (each.ports ?? 0), config.broker.listen.length);
  const directory = config.node.dataDir;
  const found = await listeners(config, await isInUse(directory));
  return [
    await dataDirectory(directory, found.served),
    freeSpace(directory),
    ...(config.titanic.enabled ? await storeOf(loaded, ofStore, found.served) : []),
    ...found.findings,
    ...(await peerListener(config.bstar, found.served)),
    ...(await http(config, found.served)),
    ...curveKeys(config),
    ...(await ofExtensions(
      loaded,
      enabled.filter((each) => each !== ofStore),
      found.served,
    )),
    ...(await exposed(loaded)),
    descriptors(config.limits.connections, ports),
    memory(config.limits.memoryBytes),
  ];
}

/** The extensions that this configuration enables. */
function enabledFrom({ config }: Loaded, extensions: readonly Extension[]): readonly Extension[] {
  const names = enabledExtensions(config);
  return extensions.filter(({ name }) => names.has(name));
}

async function ofExtensions(
  { config, file }: Loaded,
  extensions: readonly Extension[],
  served: boolean,
): Promise<readonly Finding[]> {
  const found = await Promise.all(
    extensions.map(async ({ check }) => (await check?.(config, file, served)) ?? []),
  );
  return found.flat();
}

async function storeOf(
  loaded: Loaded,
  database: Extension | null,
  served: boolean,
): Promise<readonly Finding[]> {
  if (database !== null) return await ofExtensions(loaded, [database], served);
  const { node, titanic } = loaded.config;
  return [await store(join(node.dataDir, titanic.file))];
}

function configuration(options: DoctorOptions): {
  readonly loaded: Loaded | null;
  readonly findings: readonly Finding[];
} {
  const name = 'configuration';
  try {
    const loaded = load(options);
    const found = loaded.warnings.map((each) =>
      warning(name, problemLine(each), 'remove the key, or set the keys that it depends on'),
    );
    const of = options.config ?? 'defaults, environment and --set';
    return { loaded, findings: found.length > 0 ? found : [ok(name, `valid: ${of}`)] };
  } catch (error) {
    const remedy = 'run majordomo check; docs/configuration.md describes every key';
    return { loaded: null, findings: [problem(name, messageOf(error), remedy)] };
  }
}

const STYLES: Readonly<Record<State, Style>> = { ok: 'green', warning: 'yellow', problem: 'red' };

function lines({ name, state, text, remedy }: Finding): string {
  const [first = '', ...more] = text.split('\n').map(printable);
  const rest = [...more, ...(remedy === null ? [] : [`→ ${printable(remedy)}`])];
  const head = `${styled(state.padEnd(7), STYLES[state])}  ${name}: ${first}`;
  return [head, ...rest.map((line) => `${' '.repeat(9)}${line}`), ''].join('\n');
}
