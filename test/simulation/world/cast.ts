/** The participants of a seed's world. */
import { identityOf } from '../../../src/zmtp/identity.js';
import { SimClient, type ClientHabits } from '../actors/client.js';
import { SimHostile } from '../actors/hostile.js';
import { type Actor, Line, type Surroundings } from '../actors/line.js';
import { PIRATE_MISCHIEF, SimPirate, type PirateHabits } from '../actors/pirate.js';
import { SimPlainClient, type PlainHabits } from '../actors/plain-client.js';
import { SimProxy } from '../actors/proxy.js';
import type { PirateKind } from '../model/intent.js';
import { MISCHIEF, SimWorker, type WorkerHabits } from '../actors/worker.js';
import type { MdpVersion } from '../../../src/wire/mdp.js';
import type { Dialled } from './network.js';
import type { SimRandom } from './random.js';
import { PIRATES, PLAIN_CLIENTS, type Weather } from './weather.js';

/** Of the cast's source of chance. */
const PIRATE_FORK = 1;

/** An actor still to be made, so that any one can be left out. */
type Role = (random: SimRandom) => Actor & { start(): void };

export class Cast {
  readonly clients: SimClient[] = [];
  readonly plainClients: SimPlainClient[] = [];
  readonly #weather: Weather;
  readonly #around: Surroundings;

  constructor(weather: Weather, around: Surroundings) {
    this.#weather = weather;
    this.#around = around;
  }

  roles(random: SimRandom): Role[] {
    const { isFair, services } = this.#weather;
    const roles: Role[] = [];
    // In fair weather every service has a worker; otherwise this is random.
    if (isFair) for (const service of services) roles.push(this.#worker(service));
    const workers = random.int(isFair ? 0 : 1, 5);
    for (let i = 0; i < workers; i++) roles.push(this.#worker(random.pick([...services])));
    const clients = random.int(1, 4);
    for (let i = 0; i < clients; i++) roles.push(this.#client());
    if (random.chance(0.3)) roles.push(this.#proxy());
    const hostiles = isFair ? 0 : random.int(0, 2);
    for (let i = 0; i < hostiles; i++) roles.push(this.#hostile());
    if (this.#weather.hasPirates) roles.push(...this.#withoutMdp(random.fork(PIRATE_FORK)));
    return roles;
  }

  /** Actors that prove at the end that the broker still serves. */
  healers(): Role[] {
    const roles = this.#weather.services.flatMap<Role>((service) => [
      (random) => this.#makeWorker(`healer-${service}`, goodWorker(service), random, 0),
      (random) => this.#makeClient(`patient-${service}`, this.#patient(service), random, 0),
    ]);
    if (!this.#weather.hasPirates) return roles;
    const [service] = this.#weather.services;
    const habits = { ...this.#plainHabits('plain', service), requests: 2 };
    return [...roles, (random) => this.#makePlainClient('patient-plain', habits, random)];
  }

  // ---------------------------------------------------------------- without MDP

  #withoutMdp(random: SimRandom): Role[] {
    const [service] = this.#weather.services;
    const roles: Role[] = [];
    const pirates = random.int(1, 4);
    for (let i = 0; i < pirates; i++) roles.push(this.#pirate(service));
    const clients = random.int(1, 3);
    for (let i = 0; i < clients; i++) roles.push(this.#plainClient(service));
    return roles;
  }

  #pirate(service: string): Role {
    return (random) => {
      const kind = random.pick<PirateKind>(['spp', 'ppp']);
      const name = `${kind}${this.#number()}`;
      const { isFair, options } = this.#weather;
      const interval = options.heartbeatIntervalMs;
      const isGood = isFair || random.chance(0.3);
      const mischief = Array.from({ length: random.int(1, 4) }, () => random.pick(PIRATE_MISCHIEF));
      const habits: PirateHabits = {
        kind,
        service,
        beats: isFair || random.chance(0.8),
        beginsInSilence: kind === 'spp' && random.chance(0.3),
        serveMaxMs: random.pick([0, Math.floor(interval / 4), interval * 3]),
        mischief: isGood ? [] : mischief,
        mischiefChance: random.pick([0.1, 0.4]),
      };
      const socketType = kind === 'spp' ? 'REQ' : 'DEALER';
      const who = { ...dialled(name, PIRATES, random, 0.1), socketType };
      return new SimPirate(name, habits, this.#around, who, random);
    };
  }

  #plainClient(service: string): Role {
    return (random) => {
      const kind = random.pick<PlainHabits['kind']>(['plain', 'plain', 'flp']);
      const name = `${kind}${this.#number()}`;
      const { isFair, options } = this.#weather;
      const interval = options.heartbeatIntervalMs;
      const isPatient = isFair || random.chance(0.3);
      const habits: PlainHabits = {
        ...this.#plainHabits(kind, service),
        ids: random.pick([0, 0, 1, 8]),
        requests: random.int(1, 12),
        gapMaxMs: interval * random.pick([1, 3]),
        patienceMs: isPatient ? Infinity : interval * random.int(1, 10),
        retries: random.int(0, 3),
        redials: random.chance(0.5),
        cutChance: isFair ? 0 : random.pick([0, 0.1]),
        stopChance: isFair ? 0 : random.pick([0, 0.1]),
        garbageChance: isFair ? 0 : random.pick([0, 0.2]),
      };
      return this.#makePlainClient(name, habits, random);
    };
  }

  /** A patient client that does no wrong. */
  #plainHabits(kind: PlainHabits['kind'], service: string): PlainHabits {
    return {
      kind,
      service,
      ids: 0,
      requests: 1,
      gapMaxMs: this.#weather.options.heartbeatIntervalMs,
      patienceMs: Infinity,
      retries: 0,
      redials: false,
      cutChance: 0,
      stopChance: 0,
      garbageChance: 0,
    };
  }

  #makePlainClient(name: string, habits: PlainHabits, random: SimRandom): SimPlainClient {
    const socketType = habits.kind === 'flp' ? 'ROUTER' : 'REQ';
    const who = { ...dialled(name, PLAIN_CLIENTS, random, 0.4), socketType };
    const line: Line = new Line(
      name,
      this.#around,
      who,
      random.fork(1),
      (frames) => client.received(frames),
      () => client.lost(),
    );
    const client = new SimPlainClient(name, habits, this.#around, line, random);
    this.plainClients.push(client);
    return client;
  }

  // ---------------------------------------------------------------- workers

  #worker(service: string): Role {
    return (random) => {
      const name = `w${this.#number()}`;
      const { isFair } = this.#weather;
      const listener = isFair || random.chance(0.95) ? random.pick([0, 2]) : 1;
      return this.#makeWorker(name, this.#workerHabits(service, random), random, listener);
    };
  }

  #makeWorker(name: string, habits: WorkerHabits, random: SimRandom, listener: number): SimWorker {
    return new SimWorker(name, habits, this.#around, dialled(name, listener, random, 0.1), random);
  }

  #workerHabits(service: string, random: SimRandom): WorkerHabits {
    const { isFair, options } = this.#weather;
    const version = random.pick<MdpVersion>([1, 2]);
    const interval = options.heartbeatIntervalMs;
    const beats = random.pick(['always', 'when idle', isFair ? 'always' : 'never'] as const);
    const credit = random.chance(0.4) ? random.int(1, 20) : null;
    const kinds = MISCHIEF.filter((each) => each !== 'returns' || credit !== null || !isFair);
    const mischief = Array.from({ length: random.int(1, 5) }, () =>
      random.pick([kinds[0] ?? 'quits', ...kinds.slice(1)]),
    );
    const isGood = isFair || random.chance(0.3);
    return {
      version,
      service,
      credit,
      beats,
      serveMaxMs: random.pick([0, Math.floor(interval / 4), interval * 3]),
      partialsMax: version === 2 && random.chance(0.5) ? 3 : 0,
      mischief: isGood ? [] : mischief,
      mischiefChance: random.pick([0.1, 0.4]),
      isStubborn: random.chance(0.5),
    };
  }

  // ---------------------------------------------------------------- clients

  #greeting(random: SimRandom): ClientHabits['says'] {
    if (!random.chance(0.5)) return 'nothing';
    return random.pick(
      this.#weather.isFair ? ['hello', 'failures'] : ['hello', 'refuse', 'failures'],
    );
  }

  #client(): Role {
    return (random) => {
      const name = `c${this.#number()}`;
      const habits = this.#clientHabits(random);
      const { isFair } = this.#weather;
      const listener = isFair || random.chance(0.95) ? random.pick([0, 1]) : 2;
      return this.#makeClient(name, habits, random, listener);
    };
  }

  #makeClient(name: string, habits: ClientHabits, random: SimRandom, listener: number): SimClient {
    const line: Line = new Line(
      name,
      this.#around,
      dialled(name, listener, random, 0.4),
      random.fork(1),
      (frames) => client.received(frames),
      () => client.lost(),
    );
    const client = new SimClient(name, habits, this.#around, line, random);
    this.clients.push(client);
    return client;
  }

  #clientHabits(random: SimRandom): ClientHabits {
    const { isFair, options, services } = this.#weather;
    const interval = options.heartbeatIntervalMs;
    const correlates = random.chance(0.6);
    const isPatient = isFair || random.chance(0.3);
    return {
      version: random.pick<MdpVersion>([1, 2]),
      correlates,
      prefix: [],
      says: this.#greeting(random),
      services,
      requests: random.int(1, 15),
      window: correlates ? random.int(1, 8) : 1,
      gapMaxMs: interval * random.pick([1, 3]),
      patienceMs: isPatient ? Infinity : interval * random.int(1, 10),
      retries: random.int(0, 3),
      redials: random.chance(0.5),
      bodyBytesMax: random.pick([0, 40, 400]),
      cutChance: isFair ? 0 : random.pick([0, 0.1]),
      stopChance: isFair ? 0 : random.pick([0, 0.1]),
      mmiChance: random.pick([0, 0.2]),
    };
  }

  #patient(service: string): ClientHabits {
    return {
      version: 2,
      correlates: true,
      prefix: [],
      says: 'nothing',
      services: [service],
      requests: 2,
      window: 2,
      gapMaxMs: this.#weather.options.heartbeatIntervalMs,
      patienceMs: Infinity,
      retries: 0,
      redials: false,
      bodyBytesMax: 10,
      cutChance: 0,
      stopChance: 0,
      mmiChance: 0,
    };
  }

  #proxy(): Role {
    return (random) => {
      const name = `p${this.#number()}`;
      const proxy = new SimProxy(name, this.#around, dialled(name, 0, random, 0.3), random);
      for (let number = 0; number < random.int(1, 3); number++) {
        const id = `${name}c${number}`;
        // Further hops add their ids before or after: D1 allows eight in total.
        const hops = Array.from({ length: random.pick([0, 0, 1, 6]) }, (_, hop) => `hop${hop}`);
        const prefix = [id, ...hops].map((each) => Buffer.from(each));
        const habits = this.#clientHabits(random);
        const own = { ...habits, prefix, redials: false, cutChance: 0, stopChance: 0 };
        const client = new SimClient(id, own, this.#around, proxy.line, random.fork(10 + number));
        proxy.clients.push(client);
        this.clients.push(client);
      }
      return proxy;
    };
  }

  // ---------------------------------------------------------------- others

  #hostile(): Role {
    return (random) => {
      const name = `h${this.#number()}`;
      const { options, services } = this.#weather;
      const habits = {
        messages: random.int(1, 25),
        gapMaxMs: options.heartbeatIntervalMs * 2,
        services,
        registers: random.chance(0.5),
      };
      const listener = random.pick([0, 0, 1, 2]);
      return new SimHostile(
        name,
        habits,
        this.#around,
        dialled(name, listener, random, 0.3),
        random,
      );
    };
  }

  #made = 0;

  #number(): number {
    return this.#made++;
  }
}

/**
 * Every second actor has its own key. Those that choose their routing id all choose the same one: a
 * message for one must not reach another (D70).
 */
function dialled(name: string, listener: number, random: SimRandom, named: number): Dialled {
  const ownRoutingId = random.chance(named);
  const key = Number(name.replace(/\D/g, '')) % 2 === 1 ? name : null;
  const routingId = Buffer.from(ownRoutingId && key !== null ? 'the same' : name);
  const address = '127.0.0.1';
  return { listener, ownRoutingId, routingId, key, address, identity: identityOf(address, key) };
}

function goodWorker(service: string): WorkerHabits {
  return {
    version: 2,
    service,
    credit: null,
    beats: 'always',
    serveMaxMs: 0,
    partialsMax: 0,
    mischief: [],
    mischiefChance: 0,
    isStubborn: false,
  };
}
