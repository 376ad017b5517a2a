/** The `majordomo` command: one file a command, loaded when it is called. */
import { Command } from 'commander';

import { codeOf, messageOf } from '../core/errors.js';
import { EXIT, exitStatusOf, type ExitStatus } from '../core/exit.js';
import { packageVersion } from '../core/version.js';
import { type Done, examples } from './options.js';
import { guardOutput, harmless } from './output.js';

/** Adds arguments, options, examples and the action to a command that has its name. */
type Define = (command: Command, done: Done) => void;

interface Entry {
  readonly summary: string;
  readonly load: () => Promise<Define>;
}

const COMMANDS: Readonly<Record<string, Entry>> = {
  serve: {
    summary: 'run the broker in the foreground',
    load: async () => (await import('./serve.js')).defineServe,
  },
  check: {
    summary: 'check a configuration and show where each value comes from',
    load: async () => (await import('./check.js')).defineCheck,
  },
  request: {
    summary: 'ask a service and print its reply',
    load: async () => (await import('./request.js')).defineRequest,
  },
  worker: {
    summary: 'make any shell command a service',
    load: async () => (await import('./worker.js')).defineWorker,
  },
  status: {
    summary: 'what a broker says of itself',
    load: async () => (await import('./status.js')).defineStatus,
  },
  services: {
    summary: 'the services that a broker knows, and how busy they are',
    load: async () => (await import('./services.js')).defineServices,
  },
  workers: {
    summary: 'the workers that are registered',
    load: async () => (await import('./workers.js')).defineWorkers,
  },
  top: {
    summary: 'what is going on, again and again',
    load: async () => (await import('./top.js')).defineTop,
  },
  titanic: {
    summary: 'stored requests: list, show, retry, cancel, purge',
    load: async () => (await import('./titanic.js')).defineTitanic,
  },
  ha: {
    summary: 'the pair: how it is, switchover, promote',
    load: async () => (await import('./ha.js')).defineHa,
  },
  backup: {
    summary: 'copy the store, also while the broker uses it',
    load: async () => (await import('./backup.js')).defineBackup,
  },
  verify: {
    summary: 'check a store, or a backup of one',
    load: async () => (await import('./verify.js')).defineVerify,
  },
  keygen: {
    summary: 'make a CURVE key pair',
    load: async () => (await import('./keygen.js')).defineKeygen,
  },
  bench: {
    summary: 'measure how fast a broker is',
    load: async () => (await import('./bench.js')).defineBench,
  },
  'pair-demo': {
    summary: 'watch a pair lose nothing while its active is killed',
    load: async () => (await import('./pair-demo.js')).definePairDemo,
  },
  acl: {
    summary: 'what a key may do, and who was refused lately',
    load: async () => (await import('./acl.js')).defineAcl,
  },
  doctor: {
    summary: 'look for what usually goes wrong on this machine',
    load: async () => (await import('./doctor.js')).defineDoctor,
  },
  completion: {
    summary: 'a script by which a shell completes commands and options',
    load: async () => {
      const { defineCompletion } = await import('./completion.js');
      return (command, done) => {
        defineCompletion(command, done, describeAll);
      };
    },
  },
};

const EXAMPLES = [
  ['majordomo serve', 'a broker on tcp://127.0.0.1:5555'],
  ['majordomo worker upper -- tr a-z A-Z', 'any command is a service'],
  ['majordomo request upper hello', 'prints HELLO'],
  ['majordomo services', 'what is served, and how busy'],
  ['majordomo help worker', 'more of one command'],
] as const;

const EXIT_STATUSES = `
EXIT STATUS
  0 done · 1 the request failed · 64 wrong usage · 69 unavailable · 70 internal error · 74 disk
  75 connected, but no reply in time · 78 configuration · 130, 143 second SIGINT, SIGTERM
`;

const ENVIRONMENT = `
ENVIRONMENT
  MAJORDOMO_URL reaches a node for all commands: tcp://HOST:PORT, ipc://PATH, http://HOST:PORT,
  https://HOST:PORT or unix:PATH, or a list of them for a pair; the other address is learnt.
  Before it come --endpoint, --admin, -c, --set http.listen=… and MAJORDOMO_ENDPOINT.
`;

/** Runs one command line. Returns the exit status. */
export async function main(args: readonly string[]): Promise<number> {
  guardOutput();
  const [first, ...rest] = args;
  // `help X` is `X --help`, so that a wrong X is answered like any other wrong command.
  const asked = first === 'help' && rest[0] !== undefined ? [rest[0], '--help'] : args;
  const name = asked[0] ?? '';
  const known = Object.hasOwn(COMMANDS, name);
  // The daemon logs its bugs itself.
  if (name !== 'serve') dieOnBugs();
  let status: ExitStatus = EXIT.done;
  try {
    const program = await buildProgram(name, (ended) => {
      status = ended;
    });
    const wrongHelp = first === 'help' && !known && rest[0] !== undefined;
    await program.parseAsync(wrongHelp ? [name] : asked, { from: 'user' });
  } catch (error) {
    return failed(error);
  }
  return status;
}

async function buildProgram(called: string, done: Done): Promise<Command> {
  const program = new Command('majordomo')
    .description('Service-oriented reliable request-reply over ZeroMQ (7/MDP, 18/MDP).')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .configureOutput({
      outputError: (text, write) => {
        write(text.replace(/^error: /, 'majordomo: '));
      },
    })
    .enablePositionalOptions()
    .exitOverride()
    .addHelpText('after', examples(EXAMPLES) + ENVIRONMENT + EXIT_STATUSES);
  for (const [name, { summary, load }] of Object.entries(COMMANDS)) {
    const command = program.command(name).summary(summary).description(summary);
    command.showHelpAfterError(`(majordomo help ${name} shows examples)`);
    if (name === called) (await load())(command, done);
  }
  return program;
}

/** All commands with all that they take, loaded. */
async function describeAll(): Promise<readonly Command[]> {
  return await Promise.all(
    Object.entries(COMMANDS).map(async ([name, { summary, load }]) => {
      const command = new Command(name).summary(summary);
      (await load())(command, () => undefined);
      return command;
    }),
  );
}

/** Says what went wrong, once; a stack only for bugs. */
function failed(error: unknown): ExitStatus {
  const code = codeOf(error) ?? '';
  if (code.startsWith('commander.')) return isHelp(error, code) ? EXIT.done : EXIT.usage;
  const status = exitStatusOf(error);
  if (status === EXIT.internal) return bug(error);
  // One line a problem: the places come first, so that editors find them.
  const text = code === 'ERR_CONFIG_INVALID' ? messageOf(error) : `majordomo: ${messageOf(error)}`;
  process.stderr.write(`${harmless(text)}\n`);
  return status;
}

/** Commander throws also when it has done what was asked: help, version. */
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
