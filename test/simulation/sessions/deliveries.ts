/** A process of a broker: which deliveries it takes for out. It follows what goes in and out, not the machine's state. */
import type { BrokerEvent } from '../../../src/broker/broker-events.js';
import { Frames } from '../../../src/core/frames.js';
import { readWorkerInbound } from '../../../src/wire/worker-side.js';
import type { Intent } from '../model/intent.js';
import type { Oracle } from '../world/broker-node.js';
import { hold } from '../world/failure.js';
import type { Dialled } from '../world/network.js';
import type { ServiceLimits } from '../../../src/broker/options.js';
import { GroupWatch } from './groups.js';
import { SPAN_MS, WORKERS } from './weather.js';

interface Delivery {
  readonly name: string;
  readonly peer: number;
}

export class Deliveries implements Oracle {
  /** By their tokens. */
  readonly #out = new Map<string, Delivery>();
  /** The names of requests whose workers have answered. */
  readonly #answered = new Set<string>();
  readonly #workers = new Set<number>();
  /** The connections of registered workers, by the broker's numbers for them. */
  readonly #peerOf = new Map<number, number>();
  /** Whose message is read. */
  #reading = -1;
  readonly #groups: GroupWatch;
  /** When it was reachable. */
  beganAt = 0;

  constructor(limits: ServiceLimits | null) {
    this.#groups = new GroupWatch(limits, SPAN_MS);
  }

  begun(now: number): void {
    this.beganAt = now;
    this.#groups.begins(now);
  }

  beginRun(now: number): void {
    this.#groups.passes(now);
  }

  isOut(token: string): boolean {
    return this.#out.has(token);
  }

  /** The process has ended. */
  end(): void {
    this.#out.clear();
  }

  connected(peer: number, { routingId }: Dialled): void {
    if (routingId.toString().includes(WORKERS)) this.#workers.add(peer);
    else this.#workers.delete(peer);
  }

  message(peer: number, intent: Intent, now: number): void {
    this.#reading = peer;
    this.#groups.passes(now);
    if (intent.kind === 'ping' && intent.asks !== undefined) this.#groups.arrives(intent.asks);
    const { kind } = intent;
    if (kind !== 'final' && kind !== 'fail' && kind !== 'return') return;
    const delivery = this.#out.get(intent.token);
    if (delivery?.peer !== peer) return;
    this.#out.delete(intent.token);
    this.#groups.ended(delivery.name);
    if (kind === 'final') this.#answered.add(delivery.name);
  }

  sent(peer: number, message: readonly Buffer[]): void {
    if (!this.#workers.has(peer)) return;
    const frames = Frames.of(...message);
    const read = readWorkerInbound(2, frames);
    if (read.kind !== 'request') return;
    const name = frames.view(read.body).toString();
    const token = frames.view(read.token).toString('latin1');
    const isOut = [...this.#out.values()].some((each) => each.name === name);
    hold(!isOut, `${name} is delivered while a delivery of it is out`);
    hold(!this.#answered.has(name), `${name} is delivered again though its worker has answered`);
    this.#groups.starts(name);
    this.#out.set(token, { name, peer });
  }

  told(event: BrokerEvent): void {
    if (event.name === 'worker.registered') this.#peerOf.set(event.worker, this.#reading);
    if (event.name !== 'worker.lost') return;
    const peer = this.#peerOf.get(event.worker);
    this.#peerOf.delete(event.worker);
    for (const [token, each] of this.#out) {
      if (each.peer !== peer) continue;
      this.#out.delete(token);
      this.#groups.ended(each.name);
    }
  }
}
