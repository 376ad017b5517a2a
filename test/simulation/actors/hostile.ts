/** A peer that obeys no rule: garbage, commands out of order, names that it may not use. */
import { clientRequest } from '../../../src/wire/client-side.js';
import {
  workerDisconnect,
  workerFinal,
  workerHeartbeat,
  workerReady,
  workerReturn,
} from '../../../src/wire/worker-side.js';
import type { MdpVersion } from '../../../src/wire/mdp.js';
import type { Sent } from '../model/intent.js';
import type { Dialled } from '../world/network.js';
import type { SimRandom } from '../world/random.js';
import { type Actor, Line, type Surroundings } from './line.js';
import { malformedMessage } from './malformed.js';

export interface HostileHabits {
  readonly messages: number;
  readonly gapMaxMs: number;
  readonly services: readonly [string, ...string[]];
  /** Also acts as client and worker over one connection. */
  readonly registers: boolean;
}

export class SimHostile implements Actor {
  readonly name: string;
  readonly #habits: HostileHabits;
  readonly #around: Surroundings;
  readonly #random: SimRandom;
  readonly #line: Line;
  #sent = 0;
  #left = false;

  constructor(
    name: string,
    habits: HostileHabits,
    around: Surroundings,
    dialled: Dialled,
    random: SimRandom,
  ) {
    this.name = name;
    this.#habits = habits;
    this.#around = around;
    this.#random = random;
    const ignore = (): void => {};
    this.#line = new Line(name, around, dialled, random.fork(1), ignore, ignore);
  }

  start(): void {
    if (this.#left || this.#sent >= this.#habits.messages) return;
    this.#around.clock.after(this.#random.int(0, this.#habits.gapMaxMs), () => {
      if (this.#left) return;
      this.#act();
      this.start();
    });
  }

  leave(): void {
    this.#left = true;
    this.#line.close();
  }

  #act(): void {
    this.#sent++;
    if (!this.#line.isOpen) this.#line.dial();
    const dice = this.#random.int(0, 19);
    if (dice === 0) this.#line.cut(this.#random.chance(0.5), false);
    else if (dice === 1) this.#line.stopReading();
    else if (dice === 2) this.#line.resumeReading();
    else this.#line.send(this.#message());
  }

  #message(): Sent {
    const random = this.#random;
    const version = random.pick<MdpVersion>([1, 2]);
    const { services, registers } = this.#habits;
    this.#around.tally.fault('hostile message');
    if (registers && random.chance(0.5)) return this.#twoFaced(version);
    switch (random.int(0, 5)) {
      case 0:
        return { frames: workerHeartbeat(version), intent: { kind: 'heartbeat', version } };
      case 1:
        return { frames: workerDisconnect(version), intent: { kind: 'disconnect', version } };
      case 2:
        return this.#forged(version);
      case 3:
        return this.#ready(version, registers ? random.pick([...services]) : 'mmi.mine');
      default:
        return malformedMessage(random);
    }
  }

  #ready(version: MdpVersion, service: string): Sent {
    const credit = this.#random.pick([null, 1, 3]);
    const options = { name: credit === 3 ? '\x1b[2J'.repeat(40) : null };
    const frames = workerReady(version, Buffer.from(service), credit, options);
    return { frames, intent: { kind: 'ready', version, service, credit } };
  }

  #forged(version: MdpVersion): Sent {
    const random = this.#random;
    const bytes = Buffer.alloc(random.pick([0, 5, 13]));
    random.fill(bytes);
    const { tokens } = this.#around;
    const seen = tokens[random.int(0, Math.max(0, tokens.length - 1))];
    const token = seen !== undefined && random.chance(0.5) ? seen.token : bytes.toString('latin1');
    const client = Buffer.from(token, 'latin1');
    if (random.chance(0.3)) {
      const frames = workerReturn(version, client, '');
      if (token === '') return { frames, intent: { kind: 'leave', version } };
      return { frames, intent: { kind: 'return', version, token } };
    }
    const key = seen?.token === token ? seen.key : 'nobody';
    const body = [Buffer.from(`A${key}`), Buffer.from('f0')];
    const frames = workerFinal(version, client, body);
    return { frames, intent: { kind: 'final', version, token, body } };
  }

  /** A worker that is also a client. */
  #twoFaced(version: MdpVersion): Sent {
    const service = this.#random.pick([...this.#habits.services]);
    if (this.#random.chance(0.5)) return this.#ready(version, service);
    this.#around.tally.requests++;
    const body = [Buffer.from(`${this.name}-${this.#sent}`)];
    const frames = clientRequest(version, null, Buffer.from(service), body);
    const enveloped = version === 1;
    const intent = { kind: 'request', version, enveloped, envelope: [], service, body } as const;
    return { frames, intent };
  }
}
