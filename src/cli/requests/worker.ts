/** `majordomo worker`: makes any shell command a service. */
import { type Command, InvalidArgumentError, Option } from 'commander';

import { formatSize, parseSize } from '../../config/size.js';
import { monotonicMs } from '../../core/clock.js';
import { EXIT_SIGNALLED } from '../../core/exit.js';
import { failureWords } from '../../core/failure-words.js';
import { CLOSE_OPTIONS } from '../../sdk/option-tables.js';
import { failureOf } from '../../sdk/worker/failure-of.js';
import { FailureReport } from '../../sdk/worker/failure-report.js';
import type { CurveClientKeys } from '../../sdk/dials.js';
import type { RegistrationLoss, Worker } from '../../sdk/worker.js';
import { curveOf, keyHint, keyRemedy } from '../connection/curve.js';
import { checkEndpoints, endpointsOf } from '../connection/endpoints.js';
import { leaveFirstPlace } from './first-process.js';
import { isRunnable, CommandRuns, STOP_MS } from './command-runs.js';
import { checkService, DAY_MS, examples, integerOption, usage } from '../common/options.js';
import { addEndpointOption, type EndpointOptions } from '../connection/options.js';
import { printable, say } from '../common/output.js';

interface WorkerCommandOptions extends EndpointOptions {
  readonly concurrency: number;
  readonly name?: string;
  readonly protocol: '0.1' | '0.2';
  readonly timeoutMs?: number;
  readonly outputBytes: number;
  readonly graceMs: number;
}

const EXAMPLES = [
  ['majordomo worker upper -- tr a-z A-Z', 'standard input to standard output'],
  ['majordomo worker --concurrency 4 thumbnail -- convert - -resize 200 -', 'four at once'],
  ["majordomo worker date -- sh -c 'TZ=$(cat) date'", 'a line of shell code'],
  ['majordomo worker --timeout-ms 5000 probe -- ./probe.py', 'a command that may hang'],
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
more (it was cancelled, or its deadline has passed), and SIGKILL ten seconds later. --output-bytes fails it with too-large: it is not tried again.
SIGINT, SIGTERM and SIGHUP drain: running commands may finish; a second signal ends at once. As process 1
of a container it runs below a shell, which waits for what commands leave behind.
`;

const CONCURRENCY_MAX = 1000;
const OUTPUT_BYTES = 16 * 1024 * 1024;
const OUTPUT_BYTES_MAX = 1024 * 1024 * 1024;

export function define(command: Command): void {
  command
    .usage('[options] <service> -- <command...>')
    .argument('<service>', 'the service to offer')
    .argument('<command...>', 'the command that answers, and its arguments')
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
    .addOption(integerOption('--timeout-ms <ms>', 'kill a command that runs longer', 1, DAY_MS))
    .addOption(
      new Option('--output-bytes <size>', 'largest output of a command, for example 16MiB')
        .argParser(outputBytes)
        .default(OUTPUT_BYTES, formatSize(OUTPUT_BYTES)),
    )
    .addOption(
      integerOption('--grace-ms <ms>', 'how long draining may take', 0, DAY_MS).default(
        CLOSE_OPTIONS.graceMs.default,
      ),
    );
  addEndpointOption(command)
    .addHelpText('after', AFTER)
    .action(async (service: string, line: readonly string[], options: WorkerCommandOptions) => {
      leaveFirstPlace();
      checkService(service);
      checkEndpoints(options);
      if (service.startsWith('mmi.')) {
        throw usage('service names mmi.… are reserved for the broker (8/MMI)');
      }
      const [program = '', ...args] = line;
      if (!isRunnable(program)) {
        throw usage(`${printable(program)}: no such command`);
      }
      const { timeoutMs = null, outputBytes: outputBytesMax } = options;
      const failures = new FailureReport((line) => say(line), monotonicMs);
      const outputHeld = (): void => {
        const held =
          'what it started holds its standard output open: that is not part of the reply';
        failures.report('held', `${printable(program)} has ended, and ${held}`);
      };
      const run = { service, program, args, timeoutMs, outputBytesMax, outputHeld };
      await serve(
        service,
        await endpointsOf(options, 'worker'),
        new CommandRuns(run),
        failures,
        options,
      );
    });
}

function outputBytes(text: string): number {
  const bytes = parseSize(text);
  if (bytes !== null && bytes >= 1 && bytes <= OUTPUT_BYTES_MAX) return bytes;
  throw new InvalidArgumentError(`It must be a size from 1 to ${formatSize(OUTPUT_BYTES_MAX)}.`);
}

async function serve(
  service: string,
  endpoints: readonly string[],
  runs: CommandRuns,
  failures: FailureReport,
  options: WorkerCommandOptions,
): Promise<void> {
  const { Worker } = await import('../../sdk/worker.js');
  const { concurrency, protocol, name } = options;
  const { curve } = curveOf(options);
  const worker = new Worker(
    {
      endpoints,
      service,
      concurrency,
      protocol,
      // By then its command has been killed, so this never warns of one that ignores SIGTERM.
      cancelGraceMs: STOP_MS + 1000,
      ...(name === undefined ? {} : { name }),
      ...(curve === undefined ? {} : { curve }),
    },
    (request, { signal }) => runs.run(request.frames, signal),
  );
  worker.on('failed', ({ error }) => {
    const failure = failureOf(error, true);
    const said = `${printable(service)} failed: ${printable(failureWords(failure))}`;
    failures.report(failure.code, said);
  });
  worker.on('registered', ({ endpoint }) => {
    say(`${printable(service)}: registered at ${endpoint}`);
  });
  worker.on('lost', ({ endpoint, reason }) => {
    say(`${printable(service)}: ${whyLost(reason, endpoint, curve)}, retrying`);
  });
  drainOnSignal(worker, options.graceMs);
  // Of a second signal, or a bug.
  process.once('exit', () => runs.killAll());
  await worker.run();
  failures.flush();
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
function drainOnSignal(worker: Worker, graceMs: number): void {
  let isDraining = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (isDraining) process.exit(EXIT_SIGNALLED[signal === 'SIGINT' ? signal : 'SIGTERM']);
      isDraining = true;
      const { running } = worker;
      if (running > 0) say(`draining: ${running} running; signal again to end at once`);
      void worker.close({ graceMs });
    });
  }
}
