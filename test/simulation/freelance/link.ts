/** A client's or a worker's link to one machine, as a transport makes it: it dials again until it is closed. */
import { Frames } from '../../../src/core/frames.js';
import type { Delivered, Sent } from '../model/intent.js';
import type { SimTimer } from '../world/clock.js';
import type { Connection, Dialled } from '../world/network.js';
import type { SimRandom } from '../world/random.js';
import type { BrokerMachine, Stage } from './machine.js';
import { OPENED, ZMTP_PING, ZMTP_PONG } from './signals.js';
import { LINK_RETRY_MS } from './weather.js';

interface LinkEvents {
  connected(): void;
  message(frames: Frames): void;
  /** Something arrived after a PING. */
  heard(): void;
  disconnected(): void;
  unreachable(): void;
}

export class SimLink {
  readonly #machine: BrokerMachine;
  readonly #dialled: Dialled;
  readonly #stage: Stage;
  readonly #random: SimRandom;
  readonly #events: LinkEvents;
  readonly #comesBack: boolean;
  #connection: Connection<Sent, Delivered> | null = null;
  #isUp = false;
  #dials = 0;
  #again: SimTimer | null = null;
  #closed = false;

  /** @param comesBack it dials again also when its connection was lost; otherwise its owner opens another one */
  constructor(
    machine: BrokerMachine,
    dialled: Dialled,
    stage: Stage,
    random: SimRandom,
    events: LinkEvents,
    comesBack = true,
  ) {
    this.#comesBack = comesBack;
    this.#machine = machine;
    this.#dialled = dialled;
    this.#stage = stage;
    this.#random = random;
    this.#events = events;
    this.#dial();
  }

  /** The handshake is over, and the connection is not known to be lost. */
  get isUp(): boolean {
    return this.#isUp;
  }

  send(sent: Sent): void {
    const bytes = sent.frames.reduce((sum, { length }) => sum + length, 0);
    this.#connection?.send(sent, bytes);
  }

  ping(): void {
    this.#connection?.send(ZMTP_PING, 1);
  }

  /**
   * The connection breaks.
   * @param brokerKnows, clientKnows whether that side is told soon; otherwise after `unnoticedMs`
   */
  cut(brokerKnows: boolean, clientKnows: boolean, unnoticedMs: number): void {
    const connection = this.#connection;
    if (connection === null) return;
    connection.cut(brokerKnows, clientKnows);
    if (brokerKnows && clientKnows) return;
    this.#stage.clock.after(unnoticedMs, () => {
      connection.notice();
      if (this.#connection === connection) this.#lost();
    });
  }

  close(): void {
    this.#closed = true;
    this.#isUp = false;
    this.#again?.cancel();
    this.#connection?.close();
    this.#connection = null;
  }

  #dial(): void {
    this.#dials++;
    const end = {
      received: (item: Delivered) => {
        if (this.#connection === connection) this.#received(item);
      },
      lost: () => {
        if (this.#connection === connection) this.#lost();
      },
    };
    const random = this.#random.fork(this.#dials);
    const connection = this.#machine.network.dial(this.#dialled, end, random);
    this.#connection = connection;
  }

  #received(item: Delivered): void {
    if (item === OPENED) {
      this.#isUp = true;
      this.#events.connected();
    } else if (item === ZMTP_PONG) {
      this.#events.heard();
    } else {
      this.#events.message(Frames.of(...item));
    }
  }

  #lost(): void {
    const wasUp = this.#isUp;
    this.#connection = null;
    this.#isUp = false;
    if (wasUp) this.#events.disconnected();
    else this.#events.unreachable();
    if (this.#closed || (wasUp && !this.#comesBack)) return;
    this.#again = this.#stage.clock.after(LINK_RETRY_MS, () => this.#dial());
  }
}
