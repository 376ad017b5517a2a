/** `majordomo request`: sends one request, prints its reply. */
import { type Command, Option } from 'commander';

import { monotonicMs } from '../../core/clock.js';
import { terminalSafeJson } from '../../core/escape.js';
import type { Client, RequestOptions } from '../../sdk/client.js';
import { CLIENT_OPTIONS } from '../../sdk/option-tables.js';
import { restOf } from '../../sdk/jobs/job-options.js';
import { addOutputOption } from '../common/formats.js';
import {
  addGoneOptions,
  addTimeoutOptions,
  checkService,
  DAY_MS,
  examples,
  given,
  GONE_TIMES,
  integerOption,
  usage,
} from '../common/options.js';
import { print, shownName } from '../common/output.js';
import { Broker } from '../connection/broker.js';
import { checkEndpoints } from '../connection/endpoints.js';
import { bodyOf, framesJson, STDIN, tellFrames } from '../common/frames.js';
import { addEndpointOption } from '../connection/options.js';
import { checkBody } from './contract-check.js';
import { explained, explainedFailure } from './failures.js';
import {
  addStoredOptions,
  askDurably,
  checkStoredOptions,
  closeStored,
  type Patience,
  printResult,
  type StoredCommandOptions,
} from './stored.js';

interface RequestCommandOptions extends StoredCommandOptions {
  readonly stream?: boolean;
  readonly once?: boolean;
  readonly group?: string;
  readonly detail?: boolean;
  readonly check: boolean;
  readonly protocol: '0.1' | '0.2';
  readonly strategy: 'failover' | 'freelance';
  readonly hedgeMs?: number;
}

/** The longest wait until the broker has read that nobody wants the reply. */
const TAKEN_BACK_MS = 500;

const EXAMPLES = [
  ['majordomo request upper hello', 'one frame; prints the reply'],
  ['majordomo request add 2 3', 'two frames'],
  ['majordomo request --timeout 500ms upper hello', 'give up after half a second'],
  ['majordomo request thumbnail - -o raw < photo.jpg > small.jpg', 'standard input as a frame'],
  ['majordomo request -o json mmi.service upper', 'frames with their encoding, for scripts'],
  ['majordomo request --stream render scene', 'the parts of the reply as they arrive'],
  ['majordomo request --endpoint tcp://a:5555 --endpoint tcp://b:5555 upper hello', 'a pair'],
  [
    'majordomo request --strategy freelance --hedge-ms 20 --endpoint tcp://a:5555,tcp://b:5555 upper hello',
    'brokers that know nothing of each other',
  ],
  ['majordomo request calc -- -5', 'a frame that begins with a dash'],
  ['majordomo request --group tenant-7 upper hello', 'tenants take turns'],
  ['majordomo request --durable upper hello', 'stored on disk until answered; survives crashes'],
  ['majordomo request --durable --no-wait --key order-17 bill 99', 'print the uuid'],
  [
    'majordomo request --durable --max-attempts 5 --backoff-ms 1000..60000 bill 99',
    'own pauses between attempts',
  ],
  ['majordomo durable result UUID', 'wait for the reply and print it'],
  ['majordomo durable close UUID', 'delete the request and its reply'],
] as const;

const AFTER = `${examples(EXAMPLES)}
Without FRAME the body is one empty frame. Text output ends each frame with a newline unless it has
one, and on a terminal it shows control characters escaped; raw output is only the bytes of the frames.
If no worker serves the service, the command fails at once; --wait waits for a worker as long as for a
reply. A broker that has just started, or has just lost a worker, waits for workers to return.
--timeout-ms, or --timeout, is the time of the whole call. A request runs again if its worker was lost, or its broker
died, so services must be idempotent. With --once it never runs again: if its worker or broker was lost, the command
ends with 3.
Ctrl-C also stops the request at its worker. A durable request goes on: --close ends it.

If the workers of the service announced what it takes (majordomo services describe), a body that is JSON is
checked first: one that suits none of their contracts is not sent, and the command says where it is wrong.

--strategy freelance: the endpoints are independent brokers. The command is connected to all of them and
asks the first one that is alive; with --hedge-ms also the next one when the answer is late. There are
no durable requests then.

--durable waits for the reply, prints it and closes the durable request. It waits without limit; if
--timeout-ms is given, it waits so long at most. --result waits for the time of --timeout-ms and does not
close the request.
Without a CURVE key, the uuid is the only credential for the reply.

If the service fails, its error message goes to standard error. --detail also prints the detail frames
of the failure; -o json prints everything on standard output.

Exit status: 0 a reply · 2 the service failed · 3 it may have run, or not · 1 refused, no worker, dead or unknown · 64 usage · 69 no endpoint accepted a
connection · 75 no reply in time, still pending.
`;

export function define(command: Command): void {
  command
    .argument('[service]', 'the service to request')
    .argument('[frame...]', `frames of the body; ${STDIN} is standard input`)
    .option('--wait', 'wait for a worker if none serves the service now')
    .option('--detail', 'if the service fails, print the detail frames of the failure')
    .option('--no-check', 'send the body without checking it against the contract of the service')
    .addOption(
      new Option('--once', 'have at most one worker run it, whatever happens').conflicts([
        ...['durable', 'result', 'close', 'hedgeMs'],
      ]),
    )
    .option('--stream', 'print the parts of the reply as they arrive (MDP 0.2)');
  addTimeoutOptions(addGoneOptions(command, GONE_TIMES), 'how long to wait for the reply')
    .addOption(
      new Option('--strategy <name>', 'how to use several endpoints')
        .choices(['failover', 'freelance'])
        .default(CLIENT_OPTIONS.strategy.default),
    )
    .addOption(
      integerOption(
        '--hedge-ms <ms>',
        'freelance: ask the next broker, too, after so long',
        0,
        DAY_MS,
      ),
    )
    .addOption(
      new Option('--protocol <version>', 'MDP version').choices(['0.1', '0.2']).default('0.2'),
    );
  addOutputOption(addEndpointOption(addStoredOptions(command)), 'raw')
    .usage('[options] <service> [frame...]')
    .addHelpText('after', AFTER)
    .action(
      async (
        service: string | undefined,
        args: readonly string[],
        options: RequestCommandOptions,
      ) => {
        checkStoredOptions(service, options);
        checkStrategy(options);
        if (options.result !== undefined) {
          const { result, timeoutMs } = options;
          await asAsked(options, (client) => printResult(client, result, options, timeoutMs));
        } else if (options.close !== undefined) {
          const { close } = options;
          await asAsked(options, (client) => closeStored(client, close, options));
        } else if (service === undefined) {
          command.error("error: missing required argument 'service'", {
            code: 'commander.missingArgument',
          });
        } else {
          checkService(service);
          // Checked before standard input is read, so that mistakes are reported at once.
          checkEndpoints(options);
          const body = await bodyOf(args);
          const patience = patienceOf(command, options);
          await asAsked(options, (client) => send(client, service, body, options, patience));
        }
      },
    );
}

async function send(
  client: Client,
  service: string,
  body: readonly (string | Uint8Array)[],
  options: RequestCommandOptions,
  patience: Patience,
): Promise<void> {
  if (options.check) await checkBody(client, service, body, options.timeoutMs);
  if (options.durable === true) {
    await askDurably(client, service, body, options, patience);
    return;
  }
  const act = options.stream === true ? stream : ask;
  const asked = takenBackBySignal(client, (signal) =>
    act(client, service, body, options.output, {
      signal,
      once: options.once === true,
      group: options.group,
      ...patience.rest(),
    }),
  );
  await asked.catch(async (error: unknown) => {
    const facts = { service: shownName(service) };
    const failure = await explainedFailure(error, options, facts);
    throw await explained(client, service, failure);
  });
}

function checkStrategy(options: RequestCommandOptions): void {
  const { strategy, hedgeMs, durable, result, close } = options;
  if (strategy !== 'freelance') {
    if (hedgeMs === undefined) return;
    throw usage('--hedge-ms needs --strategy freelance');
  }
  if (durable === true || result !== undefined || close !== undefined) {
    throw usage('--strategy freelance: there are no durable requests, use one broker or pair');
  }
}

/** Measures the patience from now on: a body may take its time on standard input. */
function patienceOf(command: Command, { timeoutMs }: RequestCommandOptions): Patience {
  const began = monotonicMs();
  const isChosen = command.getOptionValueSource('timeoutMs') === 'cli';
  return { rest: () => (isChosen ? restOf({ timeoutMs }, began) : {}) };
}

/** Runs `use` with a client as the options say. */
async function asAsked(
  options: RequestCommandOptions,
  use: (client: Client) => Promise<void>,
): Promise<void> {
  const { protocol, strategy, hedgeMs } = options;
  const ifNoWorker = options.wait === true ? 'wait' : 'fail';
  const rest = given({ hedgeMs });
  await new Broker(options).client(use, { protocol, strategy, ifNoWorker, ...rest });
}

/** Runs `act`. At SIGINT and SIGTERM the broker takes its request back, and then the signal ends the process. */
async function takenBackBySignal(
  client: Client,
  act: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const abort = new AbortController();
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    process.off('SIGINT', signalled).off('SIGTERM', signalled);
    abort.abort();
    await Promise.resolve();
    // What is sent before the question has been read when it is answered.
    const question = client
      .request('mmi.broker', '', { timeoutMs: TAKEN_BACK_MS })
      .catch(() => null);
    if (client.endpoint !== null) await question;
    process.kill(process.pid, signal);
  };
  const signalled = (signal: NodeJS.Signals): void => {
    void end(signal);
  };
  process.on('SIGINT', signalled).on('SIGTERM', signalled);
  try {
    await act(abort.signal);
  } finally {
    process.off('SIGINT', signalled).off('SIGTERM', signalled);
    // The signal ends the process.
    if (abort.signal.aborted) await new Promise(() => undefined);
  }
}

async function ask(
  client: Client,
  service: string,
  body: readonly (string | Uint8Array)[],
  output: RequestCommandOptions['output'],
  options: RequestOptions,
): Promise<void> {
  const { frames } = await client.request(service, body, options);
  await tellFrames(output, frames, { service: shownName(service) });
}

async function stream(
  client: Client,
  service: string,
  body: readonly (string | Uint8Array)[],
  output: RequestCommandOptions['output'],
  options: RequestOptions,
): Promise<void> {
  for await (const { frames, final, progress } of client.stream(service, body, options)) {
    // One object per line, also on a terminal: each part is printed when it arrives.
    const part = { service: shownName(service), final, progress };
    if (output === 'json') await print(`${terminalSafeJson({ ...part, ...framesJson(frames) })}\n`);
    else await tellFrames(output, frames, part);
  }
}
