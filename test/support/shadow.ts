/**
 * A second broker that gets the inputs of a stage's broker, but never a packed message: what both do
 * must be equal. (The stage's own broker takes packed messages where it can.)
 */
import { isDeepStrictEqual } from 'node:util';

import { Broker } from '../../src/broker/broker.js';
import type { BrokerCounters } from '../../src/broker/counters.js';
import type { BrokerEvent } from '../../src/broker/broker-events.js';
import type { BrokerOptions } from '../../src/broker/options.js';
import type { BrokerSink } from '../../src/broker/sink.js';
import { Holdings } from '../../src/core/holdings.js';
import { MessageWriter } from '../../src/wire/outbound.js';
import { Recorder } from '../unit/wire/recorder.js';
import { seededRandom } from './stage-random.js';

/** The effects of a broker, in order, as text. */
export class EffectLog {
  readonly #effects: string[] = [];

  /** The sink that carries effects out, preceded by a note of each. */
  noted(sink: BrokerSink): BrokerSink {
    const { messages } = sink;
    return {
      messages: {
        request: (...message) => {
          this.#sent((to) => to.request(...message));
          messages.request(...message);
        },
        requestWithHeaders: (...message) => {
          this.#sent((to) => to.requestWithHeaders(...message));
          messages.requestWithHeaders(...message);
        },
        requestWithGroup: (...message) => {
          this.#sent((to) => to.requestWithGroup(...message));
          messages.requestWithGroup(...message);
        },
        askRuns: (...message) => {
          this.#sent((to) => to.askRuns(...message));
          messages.askRuns(...message);
        },
        cancel: (...message) => {
          this.#sent((to) => to.cancel(...message));
          messages.cancel(...message);
        },
        heartbeat: (...message) => {
          this.#sent((to) => to.heartbeat(...message));
          messages.heartbeat(...message);
        },
        disconnect: (...message) => {
          this.#sent((to) => to.disconnect(...message));
          messages.disconnect(...message);
        },
        reply: (...message) => {
          this.#sent((to) => to.reply(...message));
          return messages.reply(...message);
        },
        whole: (...message) => {
          this.#sent((to) => to.whole(...message));
          messages.whole(...message);
        },
      },
      close: (peer) => {
        this.#effects.push(`close ${peer}`);
        sink.close(peer);
      },
      vote: () => {
        this.#effects.push('vote');
        sink.vote();
      },
    };
  }

  emitted(event: BrokerEvent): void {
    this.#effects.push(JSON.stringify(event));
  }

  take(): string[] {
    return this.#effects.splice(0);
  }

  #sent(send: (to: MessageWriter) => void): void {
    const out = new Recorder();
    send(new MessageWriter(out));
    for (const { peer, frames } of out.messages) {
      const texts = frames.copyFrom(0).map((frame) => frame.toString('hex'));
      this.#effects.push(`${peer} < ${texts.join(' ')}`);
    }
  }
}

const NOWHERE: BrokerSink = {
  messages: new MessageWriter(),
  close: () => undefined,
  vote: () => undefined,
};

export class Shadow {
  readonly broker: Broker;
  readonly #log = new EffectLog();
  readonly #others: EffectLog;

  /** @param others the effects of the stage's broker */
  constructor(options: BrokerOptions, seed: number, others: EffectLog) {
    this.#others = others;
    const { holdings } = options;
    const own = holdings === undefined ? {} : { holdings: new Holdings(holdings.limit) };
    const events = {
      emit: (event: BrokerEvent): void => this.#log.emitted(event),
    };
    this.broker = new Broker(
      { ...options, ...own },
      this.#log.noted(NOWHERE),
      events,
      seededRandom(seed),
    );
  }

  /** Both have done the same since the last call, and hold the same. */
  compare(broker: Broker): void {
    same('effects', this.#log.take().join('\n'), this.#others.take().join('\n'));
    same('load', JSON.stringify(this.broker.load), JSON.stringify(broker.load));
    same('due time', String(this.broker.nextRunAt()), String(broker.nextRunAt()));
  }

  /** Both have counted the same. */
  compareCounters(broker: Broker): void {
    const [apart, packed] = [this.broker.counters, broker.counters];
    const isSame =
      isDeepStrictEqual(otherThanRequests(apart), otherThanRequests(packed)) &&
      isDeepStrictEqual(countedIn(apart, packed), countedIn(packed, apart));
    if (!isSame) throw new Error('the counters differ with and without packed messages');
  }
}

function otherThanRequests(counters: BrokerCounters): unknown {
  return Object.entries(counters).filter(([name]) => name !== 'requests');
}

/**
 * What was counted in all, and for each service that both know. Gauges are measured, and labels
 * lent, by whoever reads them: so only in the stage's broker.
 */
function countedIn({ requests }: BrokerCounters, other: BrokerCounters): unknown {
  const { services, columns } = requests;
  const counters = (row: Float64Array): Float64Array => row.subarray(0, columns.counters);
  const known = [...services.byName.values()].filter(({ shown, hasLabel }) => {
    const twin = other.requests.services.find(shown);
    return twin?.hasLabel === hasLabel;
  });
  const rows = new Map(known.map(({ shown, plain }) => [shown, counters(plain.now)]));
  return { total: counters(services.total('plain')), rows };
}

/** (Fuzzing uses stages, too, without Jest.) */
function same(what: string, apart: string, packed: string): void {
  if (apart === packed) return;
  throw new Error(`${what} without packed messages:\n${apart}\nwith them:\n${packed}`);
}
