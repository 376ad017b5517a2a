/** `majordomo events`: prints the events of a node as they happen. */
import { type Command, Option } from 'commander';

import { parseDialEndpoint } from '../../../config/endpoint.js';
import { codeOf, MajordomoError } from '../../../core/errors.js';
import { shownUrl } from '../../../core/web-address.js';
import type { CurveClientKeys } from '../../../sdk/dials.js';
import type { StreamMessage, Subscriber } from '../../../sdk/stream.js';
import { Broker } from '../../../cli/connection/broker.js';
import { ask, answerFacts } from '../../../cli/connection/state.js';
import type { Facts } from '../../../cli/common/facts.js';
import { formatted, addOutputOption, type OutputFormat } from '../../../cli/common/formats.js';
import {
  addTimeoutOptions,
  ANSWER_MS,
  DAY_MS,
  examples,
  integerOption,
  usage,
} from '../../../cli/common/options.js';
import { printable, say } from '../../../cli/common/output.js';
import { curveOf, keyRemedy, publisherFault } from '../../../cli/connection/curve.js';
import { learntPort, type SidePort } from '../../../cli/connection/learnt-address.js';
import { addEndpointOption, type AskOptions } from '../../../cli/connection/options.js';
import { SlowOutput, untilSignal } from '../../../cli/common/slow-output.js';

const EVENTS: SidePort = { option: 'events', name: 'events', does: 'publish its events' };

interface EventsOptions extends AskOptions {
  readonly events?: string;
  readonly maxDelayMs?: number;
}

const EXAMPLES = [
  ['majordomo events', 'everything that happens, with the steps of every request'],
  ['majordomo events worker. request.failed', 'workers come and go, and fail'],
  ['majordomo events request.', 'every request, while the command runs'],
  ['majordomo events -o json | jq .service', 'one JSON object per line'],
  ['majordomo events --max-delay-ms 1000 | ./react', 'dies if ./react is over a second late'],
] as const;

const AFTER = `${examples(EXAMPLES)}
TOPIC is the beginning of an event's name; docs/logs.md lists the events. Without TOPIC the command prints all,
also the steps of every request: on a busy broker give topics. Each node of a pair publishes its own
events (events.listen).

The command asks the broker where it publishes, or uses --events. It connects again by itself, and says so: events
that happen meanwhile are missed. With --max-delay-ms it ends with status 75 when an event reaches its reader later
than that. A key sees the events that its globs under client match; a TOPIC that begins others, too, is refused,
and the broker logs that.

Exit status: 0 ended by a signal or a closed pipe · 1 refused · 64 usage · 69 no such broker, or it does not publish ·
75 too slow · 78 a key file is wrong.
`;

export function define(command: Command): void {
  command
    .argument('[topic...]', 'the beginnings of the names of events')
    .addOption(new Option('--events <endpoint>', 'the endpoint of events.listen'))
    .addOption(
      integerOption('--max-delay-ms <ms>', 'end if an event is read later than this', 1, DAY_MS),
    );
  const about = 'how long to wait for the broker to answer, and to connect';
  addOutputOption(addEndpointOption(addTimeoutOptions(command, about, ANSWER_MS)))
    .addHelpText('after', AFTER)
    .action(async (topics: readonly string[], options: EventsOptions) => {
      await printEvents(topics, options);
    });
}

async function printEvents(topics: readonly string[], options: EventsOptions): Promise<void> {
  const { maxDelayMs, output } = options;
  const endpoint = await endpointOf(options);
  const { curve } = curveOf(options);
  const { ended, end } = untilSignal();
  const { Subscriber } = await import('../../../sdk/stream.js');
  const subscriber = new Subscriber({
    endpoints: endpoint,
    signal: ended,
    ...(topics.length === 0 ? {} : { topics }),
    ...(maxDelayMs === undefined ? {} : { maxDelayMs }),
    ...(curve === undefined ? {} : { curve }),
  });
  const connection = new Connection(subscriber, endpoint, options.timeoutMs, end);
  const lines = new SlowOutput(maxDelayMs ?? null, ended);
  try {
    for await (const message of subscriber) await lines.write(await lineOf(message, output));
  } catch (error) {
    throwUnlessEnded(error, endpoint, curve);
  } finally {
    connection.settled();
  }
  if (connection.hasFailed) throw await unreachable(endpoint, options.timeoutMs, curve);
}

/** Says what becomes of the connection; gives up if there never was one. */
class Connection {
  hasFailed = false;
  readonly #timer: NodeJS.Timeout;

  /** @param end called if no connection came about in time */
  constructor(subscriber: Subscriber, endpoint: string, timeoutMs: number, end: () => void) {
    this.#timer = setTimeout(() => {
      this.hasFailed = true;
      end();
    }, timeoutMs);
    let isAgain = false;
    subscriber.on('connected', () => {
      this.settled();
      if (isAgain) say(`connected to ${endpoint} again`);
      isAgain = true;
    });
    subscriber.on('disconnected', () => {
      say(`lost the connection to ${endpoint}; events are missed until it is back`);
    });
  }

  settled(): void {
    clearTimeout(this.#timer);
  }
}

function throwUnlessEnded(error: unknown, endpoint: string, curve?: CurveClientKeys): void {
  const code = codeOf(error);
  if (code === 'ERR_MDP_ABORTED') return;
  if (code !== 'ERR_MDP_KEY_REFUSED') throw error;
  const text = `the publisher at ${endpoint} ${keyRemedy(curve, 'client')}`;
  throw new MajordomoError(code, text, { cause: error });
}

async function unreachable(
  endpoint: string,
  timeoutMs: number,
  curve?: CurveClientKeys,
): Promise<Error> {
  const fault = (await publisherFault(endpoint, curve)) ?? 'one has since, so try again';
  const perhaps =
    curve === undefined
      ? 'if it uses CURVE, give --curve-server-key and --curve-key-file'
      : 'perhaps --curve-server-key is not its key';
  return new MajordomoError(
    'ERR_MDP_UNREACHABLE',
    `no publisher accepted a connection at ${endpoint} within ${timeoutMs} ms: ${fault} (${perhaps}); name another one with --events, or its broker with --endpoint or MAJORDOMO_URL`,
  );
}

/** Where the node publishes: as given, or as the broker says. */
async function endpointOf(options: EventsOptions): Promise<string> {
  const { events } = options;
  if (events === undefined) {
    return await new Broker(options).client(async (client) => {
      const facts = answerFacts('mmi.broker', await ask(client, 'mmi.broker'));
      return learntPort(facts['events'], EVENTS, client.endpoint ?? '');
    });
  }
  const parsed = parseDialEndpoint(events);
  if (parsed.ok) return events;
  throw usage(`--events '${printable(shownUrl(events))}': ${parsed.why}`);
}

/** An event in the output format; as text: the time, the name, and the fields that say something. */
async function lineOf(message: StreamMessage, output: OutputFormat): Promise<string> {
  const time = new Date(message.sentAtMs ?? 0).toISOString();
  const { event, ...fields } = fieldsOf(message);
  const texts = Object.entries(fields)
    .filter(([, value]) => value !== null && value !== false)
    .map(([name, value]) => `${name}=${printable(value)}`);
  const text = (): string => `${[time, printable(event), ...texts].join('  ')}\n`;
  return await formatted(output, { time, event, ...fields }, { text });
}

function fieldsOf(message: StreamMessage): Facts {
  const fields: unknown = message.json();
  if (typeof fields === 'object' && fields !== null) return { ...fields };
  throw new MajordomoError('ERR_REQUEST_FAILED', 'what is published there are no events');
}
