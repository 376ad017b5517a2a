/**
 * The events of this node as a stream (`events.listen`): all those of the log, without its limit of a line
 * a second, and the steps of plain requests while somebody subscribes to them (D46).
 */
import type { RequestStep, RequestTrace } from '../../broker/request-trace.js';
import type { PublisherConfig } from '../../config/entries.js';
import { monotonicMs } from '../../core/clock.js';
import { escapeName } from '../../core/escape.js';
import type { Holdings } from '../../core/holdings.js';
import { secureRandom } from '../../core/random.js';
import type { EventSink, EventTable, NamedEvent } from '../../core/event-table.js';
import type { StreamEvent } from '../../stream/stream-events.js';
import type { CloseReason, RejectionKind } from '../../core/event-fields.js';
import { type PublisherLimits, PublisherSocket } from '../../stream/io/publisher-socket.js';
import { NumberedStream } from '../../stream/numbered.js';
import type { SubscriberInfo } from '../../stream/subscriptions.js';
import type { Rejected } from '../../zmtp/port.js';
import type { Names } from '../../zmtp/sockets/names.js';
import { PUBLISHER_ID_BYTES } from '../../wire/stream.js';
import { maySubscribe, STEP_TOPICS } from './topics.js';
import type { PortKeys } from '../../node/io/keys.js';
import { type StepMessage, StepMessages } from './step-messages.js';

/** What waits for the subscribers when the node stops. */
const LINGER_MS = 1000;

const STEPS: Readonly<Record<'received' | 'dispatched' | 'replied', Buffer>> = {
  received: Buffer.from('request.received'),
  dispatched: Buffer.from('request.dispatched'),
  replied: Buffer.from('request.replied'),
};

interface EventStreamOptions {
  readonly listen: PublisherConfig;
  readonly keys: PortKeys;
  /** All that may be published, besides steps. */
  readonly table: EventTable;
  readonly limits: PublisherLimits;
  /** The account of what all peers of the node hold. */
  readonly holdings: Holdings;
  readonly names: Names;
  /** Where the events of the stream itself go. */
  readonly events: EventSink<StreamEvent>;
  /** Called when `step` changes. */
  readonly stepChanged: () => void;
}

export class EventStream implements EventSink<NamedEvent> {
  readonly endpoint: string;
  /** The socket of the stream: its listener has limits, keys and connections. */
  readonly socket: PublisherSocket;
  readonly #stream: NumberedStream;
  /** Subscribers have keys. */
  readonly #isSealed: boolean;
  readonly #startUs = Date.now() * 1000;
  readonly #startMs = monotonicMs();
  readonly #stepChanged: () => void;
  readonly #table: EventTable;
  readonly #topics = new Map<string, Buffer>();
  readonly #steps = new StepMessages();
  /** The time of the steps of this turn; 0: none was published. */
  #stepsUs = 0;
  #wants = { received: false, dispatched: false, replied: false };

  /** @throws ERR_MDP_ENDPOINT_IN_USE, ERR_MDP_ENDPOINT */
  static async open(options: EventStreamOptions): Promise<EventStream> {
    const { listen, keys, table, events, limits, holdings, names } = options;
    const topics = [...STEP_TOPICS, ...Object.keys(table)];
    let stream: EventStream | null = null;
    const { curve } = keys;
    const opened = await PublisherSocket.open({
      endpoints: [listen.endpoint],
      ...(curve === undefined ? {} : { curve }),
      limits,
      holdings,
      names,
      authorise: (info, topic) => {
        const { key } = info;
        if (key === null || maySubscribe(keys.rightsOf(key).client, topic, topics)) return true;
        reportRefused(events, info, topic);
        return false;
      },
      events: {
        closed: (info, reason) => reportClosed(events, info, reason),
        rejected: (kind, reason, from) => reportRejected(events, kind, reason, from),
        subscribed: () => stream?.noteWanted(),
      },
    });
    stream = new EventStream(opened.socket, opened.endpoints[0] ?? listen.endpoint, options);
    return stream;
  }

  private constructor(socket: PublisherSocket, endpoint: string, options: EventStreamOptions) {
    this.endpoint = endpoint;
    this.socket = socket;
    this.#isSealed = options.listen.curve !== undefined;
    this.#stepChanged = options.stepChanged;
    this.#table = options.table;
    const id = Buffer.alloc(PUBLISHER_ID_BYTES);
    secureRandom(id);
    this.#stream = new NumberedStream(socket, id);
  }

  // ---------------------------------------------------------------- events

  emit(event: NamedEvent): void {
    const { name, ...fields } = event;
    const topic = this.#topicOf(name);
    if (!this.socket.fanOut.hasSubscribers(topic)) {
      this.#stream.skip();
      return;
    }
    this.#publish(topic, {
      event: name,
      ...(this.#isSealed ? fields : this.#withoutPeer(name, fields)),
    });
  }

  /** For each step of a plain request; `null`: nobody subscribes to any of them. */
  get step(): RequestTrace | null {
    const { received, dispatched, replied } = this.#wants;
    return received || dispatched || replied ? this.#step : null;
  }

  readonly #step = (request: number, step: RequestStep): void => {
    if (step.name === 'request.received') {
      if (!this.#wants.received) return;
      const { name: event, service } = step;
      const message = this.#steps.received(request, service);
      if (message !== null) this.#publishStep(message);
      else this.#publish(STEPS.received, { event, request, service });
    } else if (step.name === 'request.dispatched') {
      if (this.#wants.dispatched) this.#publishStep(this.#steps.dispatched(request, step));
    } else if (step.name === 'request.ended' && step.outcome === 'replied' && this.#wants.replied) {
      this.#publishStep(this.#steps.replied(request));
    }
  };

  #publishStep({ words, headerAt, size }: StepMessage): void {
    this.#stream.publishPacked(words, headerAt, size, this.#turnUs());
  }

  /** The time when this turn of the event loop published first: asking the clock costs more than a step. */
  #turnUs(): number {
    if (this.#stepsUs === 0) {
      this.#stepsUs = this.#nowUs();
      setImmediate(this.#turnEnded);
    }
    return this.#stepsUs;
  }

  readonly #turnEnded = (): void => {
    this.#stepsUs = 0;
  };

  #nowUs(): number {
    return this.#startUs + (monotonicMs() - this.#startMs) * 1000;
  }

  /** Somebody subscribed to something, or does so no longer. */
  noteWanted(): void {
    const { fanOut } = this.socket;
    const before = this.#wants;
    this.#wants = {
      received: fanOut.hasSubscribers(STEPS.received),
      dispatched: fanOut.hasSubscribers(STEPS.dispatched),
      replied: fanOut.hasSubscribers(STEPS.replied),
    };
    const isNew = Object.values(this.#wants).some(Boolean) !== Object.values(before).some(Boolean);
    if (isNew) this.#stepChanged();
  }

  #publish(topic: Buffer, fields: object): void {
    this.#stream.publish(topic, [Buffer.from(JSON.stringify(fields))], this.#nowUs());
  }

  /** Only subscribers with a key get fields that identify a peer, as over HTTP. */
  #withoutPeer(event: string, fields: object): object {
    const kinds = this.#table[event]?.fields ?? {};
    const isOpen = (name: string): boolean => name in kinds && kinds[name]?.author !== 'peer';
    return Object.fromEntries(Object.entries(fields).filter(([name]) => isOpen(name)));
  }

  #topicOf(name: string): Buffer {
    const known = this.#topics.get(name);
    if (known !== undefined) return known;
    const topic = Buffer.from(name);
    this.#topics.set(name, topic);
    return topic;
  }

  // ---------------------------------------------------------------- keys

  /** The rights of a key have changed, or it is gone: its subscribers have to subscribe again. */
  rightsChanged(name: string): void {
    this.socket.listener.disconnect(({ key }) => key === name);
  }

  /** @param revoked in hexadecimal */
  revoke(revoked: string): void {
    this.socket.listener.disconnect(({ publicKey }) => publicKey === revoked);
  }

  // ---------------------------------------------------------------- limits

  // ---------------------------------------------------------------- metrics

  get published(): number {
    return this.#stream.number;
  }

  get subscribers(): number {
    return this.socket.fanOut.subscribers;
  }

  get closed(): Readonly<Record<CloseReason, number>> {
    return this.socket.fanOut.counters.closed;
  }

  async close(): Promise<void> {
    await this.socket.listener.transport?.close(LINGER_MS);
  }
}

/** Not now: a message is being copied to the subscribers. */
function reportClosed(
  events: EventSink<StreamEvent>,
  { key, address }: SubscriberInfo,
  reason: CloseReason,
): void {
  queueMicrotask(() => events.emit({ name: 'stream.closed', reason, key, address }));
}

function reportRefused(
  events: EventSink<StreamEvent>,
  { key, address }: SubscriberInfo,
  topic: Buffer,
): void {
  const name = 'stream.refused';
  const event: StreamEvent = { name, topic: escapeName(topic), key, address };
  queueMicrotask(() => events.emit(event));
}

function reportRejected(
  events: EventSink<StreamEvent>,
  kind: RejectionKind,
  reason: string,
  { address, key }: Rejected,
): void {
  queueMicrotask(() => events.emit({ name: 'stream.rejected', kind, reason, address, key }));
}
