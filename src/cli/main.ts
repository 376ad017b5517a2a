/** The `majordomo` command: one file per command, loaded when it is called. */
import { Command } from 'commander';

import { BROKER_ENDPOINT } from '../core/defaults.js';
import { codeOf, messageOf } from '../core/errors.js';
import { EXIT, exitStatusOf, type ExitStatus } from '../core/exit.js';
import { packageVersion } from '../core/version.js';
import { nativeFailure } from './native.js';
import { type Done, examples } from './options.js';
import { guardOutput, terminalSafe } from './output.js';
import { type Commands, type Entry, GROUPS, type Program } from './program.js';

/** Those of the kernel. */
const COMMANDS: Commands = {
  serve: {
    group: 'serve',
    summary: 'run the broker in the foreground',
    load: async () => (await import('./serve.js')).defineServe,
  },
  check: {
    group: 'serve',
    summary: 'check a configuration and show where each value comes from',
    load: async () => (await import('./check.js')).defineCheck,
  },
  request: {
    group: 'requests',
    summary: 'send a request to a service and print the reply',
    load: async () => (await import('./request.js')).defineRequest,
  },
  worker: {
    group: 'requests',
    summary: 'offer a shell command as a service',
    load: async () => (await import('./worker.js')).defineWorker,
  },
  durable: {
    group: 'durable',
    summary: 'list, show, retry, cancel and purge stored requests; schedules',
    load: async () => (await import('./durable.js')).defineDurable,
  },
  // As the protocol calls them: 9/TSP.
  titanic: {
    group: null,
    summary: 'the same as durable',
    load: async () => (await import('./durable.js')).defineDurable,
  },
  backup: {
    group: 'durable',
    summary: 'copy the store; the broker may be running',
    load: async () => (await import('./backup.js')).defineBackup,
  },
  verify: {
    group: 'durable',
    summary: 'check a store or a backup for damage',
    load: async () => (await import('./verify.js')).defineVerify,
  },
  services: {
    group: 'services',
    summary: 'list the services of a broker and their load',
    load: async () => (await import('./services.js')).defineServices,
  },
  workers: {
    group: 'services',
    summary: 'list the registered workers',
    load: async () => (await import('./workers.js')).defineWorkers,
  },
  top: {
    group: 'services',
    summary: 'show the busiest services, refreshed continuously',
    load: async () => (await import('./top.js')).defineTop,
  },
  ha: {
    group: 'pair',
    summary: 'show the state of a pair; switchover, promote',
    load: async () => (await import('./ha.js')).defineHa,
  },
  'pair-demo': {
    group: 'pair',
    summary: 'demonstrate failover: kill the active node of a pair again and again',
    load: async () => (await import('./pair-demo.js')).definePairDemo,
  },
  keygen: {
    group: 'keys',
    summary: 'create a CURVE key pair',
    load: async () => (await import('./keygen.js')).defineKeygen,
  },
  acl: {
    group: 'keys',
    summary: 'show the rights of a key and recent refusals',
    load: async () => (await import('./acl.js')).defineAcl,
  },
  status: {
    group: 'diagnosis',
    summary: 'show the state of a broker',
    load: async () => (await import('./status.js')).defineStatus,
  },
  bench: {
    group: 'diagnosis',
    summary: 'measure the throughput and latency of a broker',
    load: async () => (await import('./bench.js')).defineBench,
  },
  doctor: {
    group: 'diagnosis',
    summary: 'check this machine and configuration for common problems',
    load: async () => (await import('./doctor.js')).defineDoctor,
  },
  context: {
    group: 'diagnosis',
    summary: 'name brokers, and choose which of them commands ask',
    load: async () => (await import('./contexts.js')).defineContext,
  },
  version: {
    group: 'diagnosis',
    summary: 'print the version, and what it runs on',
    load: async () => (await import('./version.js')).defineVersion,
  },
  completion: {
    group: 'diagnosis',
    summary: 'print a shell completion script',
    load: async () => {
      const { defineCompletion } = await import('./completion.js');
      return (command, done, program) => {
        defineCompletion(command, done, () => describeAll(program));
      };
    },
  },
  complete: {
    group: null,
    summary: 'print the names of a running broker, for completion scripts',
    load: async () => {
      const { defineComplete } = await import('./complete.js');
      return (command, done, program) => {
        defineComplete(command, done, (name) => describe(name, program));
      };
    },
  },
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
  const [first, ...rest] = args;
  // `help X` is `X --help`, so that a wrong X gets the same error as any other wrong command.
  const asked = first === 'help' && rest[0] !== undefined ? [rest[0], '--help'] : args;
  const name = asked[0] ?? '';
  const known = commandsOf(program).has(name);
  // The node logs its bugs itself.
  if (name !== 'serve') dieOnBugs();
  let status: ExitStatus = EXIT.done;
  try {
    const command = await commandFor(name, program, (ended) => {
      status = ended;
    });
    const wrongHelp = first === 'help' && !known && rest[0] !== undefined;
    await command.parseAsync(wrongHelp ? [name] : asked, { from: 'user' });
  } catch (error) {
    return failed(error);
  }
  return status;
}

/** The commands of the kernel and of the extensions, in the order in which help has them. */
function commandsOf({ commands }: Program): ReadonlyMap<string, Entry> {
  const groups: readonly (string | null)[] = [...Object.keys(GROUPS), null];
  const all = [COMMANDS, ...commands].flatMap((each) => Object.entries(each));
  return new Map(all.sort(([, a], [, b]) => groups.indexOf(a.group) - groups.indexOf(b.group)));
}

/** The command `majordomo`, in which only the one that is called has its options. */
async function commandFor(called: string, program: Program, done: Done): Promise<Command> {
  const whole = new Command('majordomo')
    .description('Reliable, service-oriented request-reply over ZeroMQ (7/MDP, 18/MDP).')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .commandsGroup(GROUPS.diagnosis)
    .helpCommand('help [command]', 'show help for a command')
    .configureOutput({
      outputError: (text, write) => {
        write(text.replace(/^error: /, 'majordomo: '));
      },
    })
    .enablePositionalOptions()
    .exitOverride()
    .addHelpText('after', examples(EXAMPLES) + ENVIRONMENT + EXIT_STATUSES);
  for (const [name, { group, summary, load }] of commandsOf(program)) {
    const command = whole.command(name, { hidden: group === null });
    command.summary(summary).description(summary);
    if (group !== null) command.helpGroup(GROUPS[group]);
    command.showHelpAfterError(`(majordomo help ${name} shows examples)`);
    if (name === called) (await load())(command, done, program);
  }
  return whole;
}

/** All commands with their arguments and options, loaded. */
async function describeAll(program: Program): Promise<readonly Command[]> {
  const shown = [...commandsOf(program)].filter(([, { group }]) => group !== null);
  return await Promise.all(shown.map(([name, entry]) => describeEntry(name, entry, program)));
}

async function describe(name: string, program: Program): Promise<Command | null> {
  const entry = commandsOf(program).get(name);
  return entry === undefined ? null : await describeEntry(name, entry, program);
}

async function describeEntry(
  name: string,
  { summary, load }: Entry,
  program: Program,
): Promise<Command> {
  const command = new Command(name).summary(summary);
  (await load())(command, () => undefined, program);
  return command;
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
  process.stderr.write(`${terminalSafe(text)}\n`);
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
  process.stderr.write(`majordomo: internal error (a bug): ${stack}\n`);
  return EXIT.internal;
}

function dieOnBugs(): void {
  const die = (error: unknown): void => {
    process.exit(bug(error));
  };
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
}
