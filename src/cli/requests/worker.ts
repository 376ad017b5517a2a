/** `majordomo worker`: makes any shell command, or a server as it is, a service. */
import { hostname } from 'node:os';

import { type Command, InvalidArgumentError, Option } from 'commander';

import { formatSize, parseSize } from '../../config/size.js';
import { monotonicMs } from '../../core/clock.js';
import { EXIT_SIGNALLED } from '../../core/exit.js';
import { failureWords } from '../../core/failure-words.js';
import { CLOSE_OPTIONS } from '../../sdk/option-tables.js';
import { failureOf } from '../../sdk/worker/failure-of.js';
import { FailureReport } from '../../sdk/worker/failure-report.js';
import type { CurveClientKeys } from '../../sdk/dials.js';
import type { Handler, RegistrationLoss, Worker } from '../../sdk/worker.js';
import { Broker } from '../connection/broker.js';
import { curveOf, keyHint, keyRemedy } from '../connection/curve.js';
import { checkEndpoints } from '../connection/endpoints.js';
import { authorityFor, type Target, targetOf } from './bridge/target.js';
import { leaveFirstPlace } from './first-process.js';
import { commandFile } from './command-file.js';
import { CommandRuns, STOP_MS } from './command-runs.js';
import { checkService, DAY_MS, examples, integerOption, usage } from '../common/options.js';
import { addEndpointOption, type BrokerOptions } from '../connection/options.js';
import { printable, say } from '../common/output.js';

interface WorkerCommandOptions extends BrokerOptions {
  readonly concurrency: number;
  readonly name?: string;
  readonly protocol: '0.1' | '0.2';
  readonly timeoutMs?: number;
  readonly outputBytes: number;
  readonly graceMs: number;
  readonly to: readonly string[];
  readonly contentType?: string;
  readonly ca?: string;
  readonly proxyEnv?: true;
}

const EXAMPLES = [
  ['majordomo worker upper -- tr a-z A-Z', 'standard input to standard output'],
  ['majordomo worker --concurrency 4 thumbnail -- convert - -resize 200 -', 'four at once'],
  ["majordomo worker date -- sh -c 'TZ=$(cat) date'", 'a line of shell code'],
  ['majordomo worker --timeout-ms 5000 probe -- ./probe.py', 'a command that may hang'],
  ['majordomo worker policy --to tcp://gpu1:5555 --to tcp://gpu2:5555', 'two REP servers'],
  ['majordomo worker resize --to http://127.0.0.1:8000/resize', 'a web server'],
  ['majordomo worker say --to unix:/run/app.sock:/say', 'the same at a socket file'],
  [
    'majordomo worker --endpoint tcp://a:5555 --endpoint tcp://b:5555 upper -- tr a-z A-Z',
    'a pair',
  ],
] as const;

const AFTER = `${examples(EXAMPLES)}
COMMAND runs once for each request. Its standard input is the request body (several frames are
concatenated), its standard output is the reply (one frame), its standard error passes through. Its
environment has MAJORDOMO_SERVICE but no other MAJORDOMO_… variable, since those may hold secrets.

If COMMAND exits with a status other than 0, the request fails with the code exit-N (signal-NAME if a
signal ended it). The client gets the code, the last line of standard error, and its last 4 KiB. A stored
request is tried again later, except after 64 or 65 (sysexits.h: usage, data). A plain request ends with
the failure, except after 75 (temporary failure): then another worker gets it at once. --timeout-ms
fails the request with the code timeout. COMMAND gets SIGTERM when nobody waits for its request any
more (it was cancelled, or its deadline has passed), and SIGKILL ten seconds later; on Windows it is ended at once, and
must be an .exe or .com (cmd /c runs others). --output-bytes fails it with too-large: it is not tried again.
SIGINT, SIGTERM and SIGHUP drain: running commands may finish; a second signal ends at once. As process 1
of a container it runs below a shell, which waits for what commands leave behind.

--to names a server that stays as it is; each that is named is a worker of its own, registered while its
server is there. tcp://HOST:PORT and ipc://PATH are ZeroMQ REP sockets: they get the frames of the body, one request
at a time (--concurrency: at once, for a ROUTER or a proxy). http://, https:// and unix:PATH[:/URL-PATH]
are web servers: they get a POST of the body, with the headers of the request, its content-type and
traceparent among them, and Majordomo-Timeout-Ms, the time that its client still waits; what they answer with a status of 2xx is
the reply. With 408, 425, 429 or 503 another worker gets the request, and this one takes none for a
second, or as long as Retry-After says, up to a minute. Any other status fails with http-STATUS.
If a server is lost, or takes longer than --timeout-ms, its request goes to another worker; one with
"once" only if nothing of it was written to the server.
`;

const CONCURRENCY_MAX = 1000;
/** The broker cuts a longer name. */
const NAME_CHARACTERS_MAX = 64;
const OUTPUT_BYTES = 16 * 1024 * 1024;
const OUTPUT_BYTES_MAX = 1024 * 1024 * 1024;

export function define(command: Command): void {
  command
    .usage('[options] <service> (-- <command...> | --to <url>)')
    .argument('<service>', 'the service to offer')
    .argument('[command...]', 'the command that answers, and its arguments')
    .addOption(
      new Option('--to <url>', 'a server that answers, instead of a command; can be repeated')
        .argParser((url: string, before: readonly string[]) => [...before, url])
        .default([], 'none'),
    )
    .addOption(
      integerOption('--concurrency <n>', 'requests to handle at once', 1, CONCURRENCY_MAX).default(
        1,
      ),
    )
    .option(
      '--name <text>',
      'name of this worker in lists and logs (default: host name and process id)',
    )
    .addOption(
      new Option('--protocol <version>', 'MDP version').choices(['0.1', '0.2']).default('0.2'),
    )
    .addOption(
      integerOption(
        '--timeout-ms <ms>',
        'kill a command, or give up a server, that takes longer (default: web servers 60000, others no limit)',
        1,
        DAY_MS,
      ),
    )
    .addOption(
      new Option('--output-bytes <size>', 'largest output of a command, for example 16MiB')
        .argParser(outputBytes)
        .default(OUTPUT_BYTES, formatSize(OUTPUT_BYTES)),
    )
    .option('--content-type <type>', 'of what a web server gets (default: as the request says)')
    .option('--ca <file>', 'certificates of an authority beside those of the system (PEM)')
    .option('--proxy-env', 'reach web servers as HTTP_PROXY, HTTPS_PROXY and NO_PROXY say')
    .addOption(
      integerOption('--grace-ms <ms>', 'how long draining may take', 0, DAY_MS).default(
        CLOSE_OPTIONS.graceMs.default,
      ),
    );
  addEndpointOption(command)
    .addHelpText('after', AFTER)
    .action(async (service: string, line: readonly string[], options: WorkerCommandOptions) => {
      checkService(service);
      checkEndpoints(options);
      if (service.startsWith('mmi.')) {
        throw usage('service names mmi.… are reserved for the broker (8/MMI)');
      }
      const targets = options.to.map((url) => targetOf(url));
      const hasOutputBytes = command.getOptionValueSource('outputBytes') === 'cli';
      checkKind(line, targets, options, hasOutputBytes);
      const ca = authorityFor(targets, options.ca);
      if (targets.length === 0) leaveFirstPlace();
      const failures = new FailureReport((line) => say(line), monotonicMs);
      const offered = {
        service,
        failures,
        options,
        endpoints: await new Broker(options).endpoints('worker'),
      };
      if (targets.length === 0) await serveCommand(line, offered);
      else await serveTargets(targets, ca, offered);
      failures.flush();
    });
}

/** A command and servers exclude each other, and so do what is for them. */
function checkKind(
  [program]: readonly string[],
  targets: readonly Target[],
  { contentType, proxyEnv }: WorkerCommandOptions,
  hasOutputBytes: boolean,
): void {
  if (program === undefined) {
    if (targets.length === 0) {
      throw usage('a command is missing (-- COMMAND), or a server (--to URL)');
    }
    if (hasOutputBytes) throw usage('--output-bytes is for commands');
  } else {
    if (targets.length > 0) throw usage('a command and --to exclude each other');
    commandFile(program);
  }
  const web = targets.flatMap((target) => target.web ?? []);
  const forWeb = [
    ['--content-type', contentType, web.length > 0],
    ['--proxy-env', proxyEnv, web.some(({ hostname }) => hostname !== undefined)],
  ] as const;
  const [wrong] = forWeb.find(([, value, isThere]) => value !== undefined && !isThere) ?? [];
  if (wrong !== undefined) throw usage(`${wrong} is for web servers (--to http://…)`);
}

/** What the worker of a command and those of servers have in common. */
interface Offered {
  readonly service: string;
  readonly endpoints: readonly string[];
  readonly failures: FailureReport;
  readonly options: WorkerCommandOptions;
}

async function serveCommand(line: readonly string[], offered: Offered): Promise<void> {
  const { service, failures, options } = offered;
  const [given = '', ...args] = line;
  const program = commandFile(given);
  const { timeoutMs = null, outputBytes: outputBytesMax } = options;
  const outputHeld = (): void => {
    const held = 'what it started holds its standard output open: that is not part of the reply';
    failures.report('held', `${printable(program)} has ended, and ${held}`);
  };
  const runs = new CommandRuns({ service, program, args, timeoutMs, outputBytesMax, outputHeld });
  const newWorker = await workersOf(offered);
  const worker = newWorker((request, { signal }) => runs.run(request.frames, signal), {
    server: '',
    concurrency: options.concurrency,
    // By then its command has been killed, so this never warns of one that ignores SIGTERM.
    cancelGraceMs: STOP_MS + 1000,
  });
  drainOnSignal(
    () => worker.running,
    () => void worker.close({ graceMs: options.graceMs }),
  );
  // Of a second signal, or a bug.
  process.once('exit', () => runs.killAll());
  await worker.run();
}

async function serveTargets(
  targets: readonly Target[],
  ca: string | undefined,
  offered: Offered,
): Promise<void> {
  const { service, options } = offered;
  const { Bridge } = await import('./bridge/bridge.js');
  const { checkHttp, openServer } = await import('./bridge/open.js');
  checkHttp(options);
  const newWorker = await workersOf(offered);
  const bridges = targets.map((target) => {
    const { shown } = target;
    return new Bridge({
      concurrency: options.concurrency,
      openServer: (lost) => openServer(target, { ...options, ca }, lost),
      newWorker: (handler, concurrency, isFurther) =>
        // What nobody waits for keeps its place while the server has it.
        newWorker(handler, { server: shown, concurrency, cancelGraceMs: DAY_MS, isFurther }),
      away: (why) => say(`${printable(service)}: ${shown}: ${printable(why)}`),
    });
  });
  drainOnSignal(
    () => bridges.reduce((sum, { running }) => sum + running, 0),
    () => {
      for (const bridge of bridges) bridge.close(options.graceMs);
    },
  );
  await Promise.all(bridges.map((bridge) => bridge.run()));
}

function outputBytes(text: string): number {
  const bytes = parseSize(text);
  if (bytes !== null && bytes >= 1 && bytes <= OUTPUT_BYTES_MAX) return bytes;
  throw new InvalidArgumentError(`It must be a size from 1 to ${formatSize(OUTPUT_BYTES_MAX)}.`);
}

interface Wanted {
  /** What its requests go to; empty: a command. */
  readonly server: string;
  readonly concurrency: number;
  readonly cancelGraceMs: number;
  /** Whether another one has said that it is registered. */
  readonly isFurther?: boolean;
}

/** @returns makes a worker */
async function workersOf({
  service,
  endpoints,
  failures,
  options,
}: Offered): Promise<(handler: Handler, wanted: Wanted) => Worker> {
  const { Worker } = await import('../../sdk/worker.js');
  const { protocol } = options;
  const { curve } = curveOf(options);
  return (handler, { server, concurrency, cancelGraceMs, isFurther = false }) => {
    // Without a name, several that one process has would look the same in lists.
    const ownName = server === '' ? undefined : `${hostname()}:${process.pid} ${server}`;
    const name = options.name ?? ownName?.slice(0, NAME_CHARACTERS_MAX);
    const worker = new Worker(
      {
        endpoints,
        service,
        concurrency,
        protocol,
        cancelGraceMs,
        ...(name === undefined ? {} : { name }),
        ...(curve === undefined ? {} : { curve }),
      },
      handler,
    );
    const who = printable(service);
    worker.on('failed', ({ error }) => {
      const failure = failureOf(error, true);
      const said = `${who} failed: ${printable(failureWords(failure))}`;
      failures.report(failure.code, said);
    });
    const tell = (text: string): void => {
      if (!isFurther) say(`${who}: ${text}`);
    };
    worker.on('registered', ({ endpoint }) => {
      tell(`registered at ${endpoint}${server === '' ? '' : ` for ${server}`}`);
    });
    worker.on('lost', ({ endpoint, reason }) => {
      tell(`${whyLost(reason, endpoint, curve)}, retrying`);
    });
    return worker;
  };
}

function whyLost(
  reason: RegistrationLoss,
  endpoint: string,
  curve: CurveClientKeys | undefined,
): string {
  switch (reason) {
    case 'connection':
      return `lost the connection to ${endpoint}`;
    case 'silent':
      return `${endpoint} is silent`;
    case 'dismissed':
      return `not accepted by ${endpoint}`;
    case 'unreachable':
      return `no answer from ${endpoint}${keyHint(curve)} (--endpoint, MAJORDOMO_URL)`;
    case 'key':
      return `the broker at ${endpoint} ${keyRemedy(curve, 'worker')}`;
  }
}

/** The first signal drains; the second exits at once. */
function drainOnSignal(running: () => number, close: () => void): void {
  let isDraining = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (isDraining) process.exit(EXIT_SIGNALLED[signal === 'SIGINT' ? signal : 'SIGTERM']);
      isDraining = true;
      const count = running();
      if (count > 0) say(`draining: ${count} running; signal again to end at once`);
      close();
    });
  }
}
