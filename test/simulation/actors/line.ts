/** An actor's connection, which the actor dials again as it likes. */
import type { Delivered, Sent } from '../model/intent.js';
import type { SimClock } from '../world/clock.js';
import type { Connection, Dialled, SimNetwork } from '../world/network.js';
import type { SimRandom } from '../world/random.js';
import type { Trace } from '../world/trace.js';
import type { Tally } from './tally.js';

/** What all actors share. */
export interface Surroundings {
  readonly clock: SimClock;
  readonly network: SimNetwork<Sent, Delivered>;
  readonly trace: Trace;
  readonly tally: Tally;
  readonly heartbeatIntervalMs: number;
  /** Tokens that workers have seen, with the request's key: for actors that steal them. */
  readonly tokens: { readonly token: string; readonly key: string }[];
}

/** A participant of a world. */
export interface Actor {
  readonly name: string;
  /** Leaves: closes its connection or loses it, and does nothing any more. */
  leave(): void;
}

export class Line {
  readonly #around: Surroundings;
  readonly #dialled: Dialled;
  readonly #random: SimRandom;
  readonly #received: (frames: Delivered) => void;
  readonly #lost: () => void;
  readonly name: string;
  #connection: Connection<Sent, Delivered> | null = null;
  /** Number of connections so far: shows whether something was sent over the current one. */
  dials = 0;

  constructor(
    name: string,
    around: Surroundings,
    dialled: Dialled,
    random: SimRandom,
    received: (frames: Delivered) => void,
    lost: () => void,
  ) {
    this.name = name;
    this.#around = around;
    this.#dialled = dialled;
    this.#random = random;
    this.#received = received;
    this.#lost = lost;
  }

  get isOpen(): boolean {
    return this.#connection !== null;
  }

  /** Nothing was lost over the current connection. */
  get isWhole(): boolean {
    return this.#connection?.hasLost === false;
  }

  dial(): void {
    this.close();
    const { network } = this.#around;
    this.dials++;
    const connection = network.dial(
      this.#dialled,
      {
        received: (frames) => {
          if (this.#connection === connection) this.#received(frames);
        },
        lost: () => {
          if (this.#connection !== connection) return;
          this.#connection = null;
          this.#lost();
        },
      },
      this.#random.fork(this.dials),
    );
    this.#connection = connection;
    this.#note('dials');
  }

  send(sent: Sent): void {
    const bytes = sent.frames.reduce((sum, { length }) => sum + length, 0);
    this.#connection?.send(sent, bytes);
  }

  stopReading(): void {
    this.#around.tally.fault('stops reading');
    this.#note('stops reading');
    this.#connection?.stopReading();
  }

  resumeReading(): void {
    this.#note('reads again');
    this.#connection?.resumeReading();
  }

  /** Closes in an orderly way: what was sent arrives. */
  close(): void {
    if (this.#connection === null) return;
    this.#note('closes');
    this.#connection.close();
    this.#connection = null;
  }

  /** The connection breaks; each side may or may not be notified. */
  cut(serverKnows: boolean, actorKnows: boolean): void {
    if (this.#connection === null) return;
    this.#around.tally.fault(serverKnows ? 'cut' : 'cut in silence');
    this.#note(serverKnows ? 'is cut' : 'is cut in silence');
    this.#connection.cut(serverKnows, actorKnows);
    if (!actorKnows) this.#connection = null;
  }

  #note(what: string): void {
    this.#around.trace.note(this.#around.clock.now, this.name, what);
  }
}
