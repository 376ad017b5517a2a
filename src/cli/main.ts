/** The `majordomo` command: each command has a module, which is loaded when it is called. */
import { Command } from 'commander';

import { BROKER_ENDPOINT } from '../core/defaults.js';
import { codeOf, messageOf } from '../core/errors.js';
import { EXIT, exitStatusOf, type ExitStatus } from '../core/exit.js';
import { nearestName } from '../core/nearest.js';
import { packageVersion } from '../core/version.js';
import { nativeFailure } from './serve/native.js';
import { type Done, examples } from './common/options.js';
import { asTyped, guardOutput, terminalSafe } from './common/output.js';
import { type Commands, type Entry, GROUPS, type HelpedProgram, type Program } from './program.js';

/** The commands of the kernel, without those of extensions. */
const COMMANDS: Commands = {
  serve: ['serve', 'run the broker in the foreground', () => import('./serve/serve.js')],
  check: [
    'serve',
    'check a configuration and show where each value comes from',
    () => import('./serve/check.js'),
  ],
  request: [
    'requests',
    'send a request to a service and print the reply',
    () => import('./requests/request.js'),
  ],
  worker: ['requests', 'offer a shell command as a service', () => import('./requests/worker.js')],
  durable: [
    'durable',
    'list, show, retry, cancel and purge durable requests; schedules',
    () => import('./durable/durable.js'),
  ],
  // As the protocol calls them: 9/TSP.
  titanic: [null, 'the same as durable', () => import('./durable/durable.js')],
  backup: [
    'durable',
    'copy the store; the broker may be running',
    () => import('./durable/backup.js'),
  ],
  verify: ['durable', 'check a store or a backup for damage', () => import('./durable/verify.js')],
  services: [
    'services',
    'list the services of a broker and their load',
    () => import('./services/services.js'),
  ],
  workers: ['services', 'list the registered workers', () => import('./services/workers.js')],
  clients: [
    'services',
    'list the clients that use most of a node, the busiest first',
    () => import('./services/clients.js'),
  ],
  top: [
    'services',
    'show the services, those that fail first, refreshed continuously',
    () => import('./services/top.js'),
  ],
  ha: ['pair', 'show the state of a pair; switchover, promote', () => import('./pair/ha.js')],
  'pair-demo': [
    'pair',
    'demonstrate failover: kill the active node of a pair again and again',
    () => import('./pair/pair-demo.js'),
  ],
  keygen: ['keys', 'create a CURVE key pair', () => import('./keys/keygen.js')],
  acl: ['keys', 'show the rights of a key and recent refusals', () => import('./keys/acl.js')],
  status: ['diagnosis', 'show the state of a broker', () => import('./diagnosis/status.js')],
  bench: [
    'diagnosis',
    'measure the throughput and latency of a broker',
    () => import('./diagnosis/bench.js'),
  ],
  doctor: [
    'diagnosis',
    'check this machine and configuration for common problems',
    () => import('./diagnosis/doctor.js'),
  ],
  context: [
    'diagnosis',
    'name brokers, and choose which of them commands ask',
    () => import('./diagnosis/contexts.js'),
  ],
  version: [
    'diagnosis',
    'print the version, and what it runs on',
    () => import('./diagnosis/version.js'),
  ],
  completion: [
    'diagnosis',
    'print a shell completion script',
    () => import('./diagnosis/completion.js'),
  ],
  complete: [
    null,
    'print the names of a running broker, for completion scripts',
    () => import('./diagnosis/complete.js'),
  ],
};

const EXAMPLES = [
  ['majordomo serve', `run a broker on ${BROKER_ENDPOINT}`],
  ['majordomo worker upper -- tr a-z A-Z', 'offer a shell command as a service'],
  ['majordomo request upper hello', 'print HELLO'],
  ['majordomo services', 'list services and their load'],
  ['majordomo help worker', 'help for one command'],
] as const;

const EXIT_STATUSES = `
EXIT STATUS
  0 done · 1 the request failed · 2 the service failed · 64 wrong usage · 69 unavailable
  70 internal error · 74 disk · 75 connected, but no reply in time · 78 configuration
  130, 143 second SIGINT, SIGTERM
`;

const ENVIRONMENT = `
ENVIRONMENT
  MAJORDOMO_URL is the address of a node for all commands: tcp://HOST:PORT, ipc://PATH, http://HOST:PORT,
  https://HOST:PORT or unix:PATH, or a list of them for a pair. Commands ask the node for its other address.
  --endpoint, --admin, -c, --set http.listen=… and MAJORDOMO_ENDPOINT take precedence. Without any of them the
  current context is asked: majordomo help context.
`;

/** Runs one command line. Returns the exit status. */
export async function main(args: readonly string[], program: Program): Promise<number> {
  guardOutput();
  // `help X` is `X --help`, so that a wrong X gets the same error as any other wrong command, also below another.
  const words = args.filter((each) => each !== 'help');
  const asked = args[0] === 'help' ? [...words, '--help'] : args;
  const name = asked[0] ?? '';
  // The node logs its bugs itself.
  if (name !== 'serve') dieOnBugs();
  let status: ExitStatus = EXIT.done;
  try {
    const command = await commandFor(name, program, (ended) => {
      status = ended;
    });
    await command.parseAsync(asked, { from: 'user' });
  } catch (error) {
    return failed(error);
  }
  return status;
}

/** The commands of the kernel and of the extensions, in the order in which help has them. */
function commandsOf({ commands }: Program): ReadonlyMap<string, Entry> {
  const groups: readonly (string | null)[] = [...Object.keys(GROUPS), null];
  const all = [COMMANDS, ...commands].flatMap((each) => Object.entries(each));
  return new Map(all.sort(([, [a]], [, [b]]) => groups.indexOf(a) - groups.indexOf(b)));
}

/** `majordomo` with the command that is called. If none has that name, with all of them, without their options. */
async function commandFor(called: string, program: Program, done: Done): Promise<Command> {
  const whole = new Command('majordomo')
    .description('Reliable, service-oriented request-reply over ZeroMQ (7/MDP, 18/MDP).')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .commandsGroup(GROUPS.diagnosis)
    .helpCommand('help [command]', 'show help for a command')
    .configureOutput({
      writeOut: (text) => process.stdout.write(asTyped(text)),
      writeErr: (text) => process.stderr.write(asTyped(text)),
      outputError: (text, write) => write(text.replace(/^error: /, 'majordomo: ')),
    })
    .enablePositionalOptions()
    .exitOverride()
    .hook('preAction', (_whole, command) => {
      refuseUnknown(command);
    })
    .addHelpText('beforeAll', ({ command }) => refuseUnknown(command))
    .addHelpText('after', examples(EXAMPLES) + ENVIRONMENT + EXIT_STATUSES);
  const all = commandsOf(program);
  for (const [name, [group, summary, load]] of all) {
    if (name !== called && all.has(called)) continue;
    const command = whole.command(name, { hidden: group === null });
    command.summary(summary).description(summary);
    if (group !== null) command.helpGroup(GROUPS[group]);
    command.showHelpAfterError(`(majordomo help ${name} shows examples)`);
    if (name === called) (await load()).define(command, done, withHelp(program));
  }
  return whole;
}

/**
 * Refuses a word for which there is no command, where commander shows the help of the one above it, or runs that.
 * Returns nothing to print.
 */
function refuseUnknown(command: Command): string {
  const word = command.args.find((each) => each !== 'help');
  if (command.commands.length === 0 || word === undefined || word.startsWith('-')) return '';
  const shown = command.createHelp().visibleCommands(command);
  const near = nearestName(
    word,
    shown.map((each) => each.name()),
  );
  const meant = near === null ? '' : `\n(Did you mean ${near}?)`;
  return command.error(`error: unknown command '${word}'${meant}`, {
    code: 'commander.unknownCommand',
  });
}

/** Describes commands for completion: all that help shows, or one by its name. */
function withHelp(program: Program): HelpedProgram {
  const describe = async (name?: string): Promise<readonly Command[]> => {
    const found = [...commandsOf(program)].filter(([each, [group]]) =>
      name === undefined ? group !== null : each === name,
    );
    return await Promise.all(
      found.map(async ([each, [, summary, load]]) => {
        const command = new Command(each).summary(summary);
        (await load()).define(command, () => undefined, withHelp(program));
        return command;
      }),
    );
  };
  return { ...program, describe };
}

/** Reports an error, once; a stack only for bugs. */
function failed(thrown: unknown): ExitStatus {
  const error = nativeFailure(thrown) ?? thrown;
  const code = codeOf(error) ?? '';
  if (code.startsWith('commander.')) return isHelp(error, code) ? EXIT.done : EXIT.usage;
  const status = exitStatusOf(error);
  if (status === EXIT.internal) return bug(error);
  // One line per problem, position first, so that editors find it.
  const text = code === 'ERR_CONFIG_INVALID' ? messageOf(error) : `majordomo: ${messageOf(error)}`;
  process.stderr.write(`${asTyped(terminalSafe(text))}\n`);
  return status;
}

/** Commander also throws after it has printed help or the version. */
function isHelp(error: unknown, code: string): boolean {
  if (code === 'commander.helpDisplayed' || code === 'commander.version') return true;
  return (
    code === 'commander.help' &&
    typeof error === 'object' &&
    error !== null &&
    'exitCode' in error &&
    error.exitCode === 0
  );
}

function bug(error: unknown): ExitStatus {
  const stack =
    typeof error === 'object' && error !== null && 'stack' in error
      ? String(error.stack)
      : messageOf(error);
  process.stderr.write(`majordomo: internal error (a bug): ${terminalSafe(stack)}\n`);
  return EXIT.internal;
}

function dieOnBugs(): void {
  const die = (error: unknown): void => {
    process.exit(bug(error));
  };
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
}
