/** A ROUTER–DEALER proxy: clients behind it share its connection, told apart by an id frame. */
import type { Delivered } from '../model/intent.js';
import { hold } from '../world/failure.js';
import type { Dialled } from '../world/network.js';
import type { SimRandom } from '../world/random.js';
import type { SimClient } from './client.js';
import { type Actor, Line, type Surroundings } from './line.js';

export class SimProxy implements Actor {
  readonly name: string;
  readonly line: Line;
  readonly clients: SimClient[] = [];

  constructor(name: string, around: Surroundings, dialled: Dialled, random: SimRandom) {
    this.name = name;
    this.line = new Line(
      name,
      around,
      dialled,
      random.fork(1),
      (frames) => this.#received(frames),
      () => this.line.dial(),
    );
  }

  start(): void {
    this.line.dial();
    for (const client of this.clients) client.start();
  }

  leave(): void {
    for (const client of this.clients) client.leave();
  }

  #received(frames: Delivered): void {
    const client = this.clients.find(
      ({ habits }) => frames[0] !== undefined && habits.prefix[0]?.equals(frames[0]) === true,
    );
    hold(client !== undefined, `${this.name} gets a reply for nobody behind it`);
    client.received(frames);
  }
}
