/**
 * What one unauthenticated peer can do to a broker, from one address, with bytes written by hand. An
 * attack prepares itself, and gives what begins it; what has begun goes on until the process ends.
 */
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import { secureRandom } from '../../src/core/random.js';
import { CurveClientMechanism } from '../../src/zmtp/curve/client.js';
import { loadSodium } from '../../src/zmtp/curve/sodium.js';
import {
  COMMAND,
  frame,
  greetingOf,
  HANDSHAKE,
  message,
  MORE,
  Recorded,
} from '../unit/zmtp/wire.js';

const MESSAGE_LIMITS = { messageBytesMax: 1 << 24, framesMax: 256 } as const;
const REDIAL_MS = 500;
const BEGUN_MS_MAX = 10_000;
const DIALS_AT_ONCE = 100;
const DIAL_PAUSE_MS = 20;
const HEARTBEAT_MS = 1000;
const NAMES = 10_000;
const REPLY_BYTES = 12_000_000;
const DEAF_REPLY_BYTES = 1_000_000;
const CREDIT = '1000';
const HALF_OPEN_BYTES = 20;
const IDLE_SHARE = 5 / 6;
const TICK_MS = 10;

/** Where an attack comes from and goes to, and how much of it has left. */
export class Site {
  /** How many connections, or connections a second, or whatever the attack has many of. */
  readonly count: number;
  /** The broker's public key, in hexadecimal; empty without CURVE. */
  readonly serverKey: string;
  /** Messages, or connections, that have left. */
  sent = 0;
  readonly #port: number;
  readonly #host: string;
  readonly #localAddress: string;

  constructor(endpoint: string, address: string, count: number, serverKey: string) {
    const { hostname, port } = new URL(endpoint.replace('tcp:', 'http:'));
    this.#host = hostname;
    this.#port = Number(port);
    this.#localAddress = address;
    this.count = count;
    this.serverKey = serverKey;
  }

  /** @param reads false: it takes no byte from its connection */
  dial(handshake: Buffer, reads = true): Socket {
    const socket = connect({
      port: this.#port,
      host: this.#host,
      localAddress: this.#localAddress,
    });
    socket.on('error', () => undefined);
    if (reads) socket.on('data', () => undefined);
    else socket.pause();
    socket.write(handshake);
    return socket;
  }

  /** A peer that reads what comes, message by message. */
  peer(told: (frames: readonly string[]) => void = () => undefined): Peer {
    return new Peer(this.dial(HANDSHAKE), told);
  }
}

/** A DEALER past its handshake; frames by their latin-1 characters. */
class Peer {
  readonly socket: Socket;
  readonly #told: (frames: readonly string[]) => void;

  constructor(socket: Socket, told: (frames: readonly string[]) => void) {
    this.socket = socket;
    this.#told = told;
    // It only reads: what it would say was said before.
    const wire = new Recorded(MESSAGE_LIMITS, 'DEALER', false);
    socket.on('data', (bytes: Buffer) => {
      wire.receive(bytes);
      wire.sent();
      wire.told.length = 0;
      for (const frames of wire.messages.splice(0)) this.#told(frames);
    });
  }

  send(...frames: readonly (string | Buffer)[]): void {
    this.socket.write(message(...frames));
  }
}

/** What MDP/0.2 clients send. */
function request(service: string, ...body: readonly (string | Buffer)[]): Buffer {
  return message('', 'MDPC02', '\x01', service, ...body);
}

/** Asks once, over a connection of its own; gives the body of the answer. */
function ask(site: Site, service: string, ...body: readonly string[]): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    const peer = site.peer((frames) => {
      peer.socket.destroy();
      resolve(frames.slice(4));
    });
    peer.socket.on('close', () => {
      reject(new Error(`${service}: the connection was closed`));
    });
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
  /** What is sent again and again, and how many messages that is. */
  readonly batch: Buffer;
  readonly messages: number;
  readonly reads?: boolean;
}

/** Sends as fast as it is taken; who is closed comes again. Resolves when all have begun. */
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

/** A worker of the attacker's own, which says so again when it is sent away. */
function worker(site: Site, service: string, answer: (peer: Peer, token: string) => void): void {
  const ready = (): void => {
    peer.send('MDPW02', '\x01', service, CREDIT);
  };
  const peer = site.peer((frames) => {
    const [, command, token = ''] = frames;
    if (command === '\x06') ready();
    else if (command === '\x02') answer(peer, token);
  });
  const heartbeat = setInterval(() => {
    peer.send('MDPW02', '\x05');
  }, HEARTBEAT_MS);
  peer.socket.on('close', () => {
    clearInterval(heartbeat);
    setTimeout(worker, REDIAL_MS, site, service, answer);
  });
  ready();
}

async function untilServed(site: Site, service: string): Promise<void> {
  while ((await ask(site, 'mmi.service', service))[0] !== '200') await delay(REDIAL_MS / 10);
}

/** Holds `count` connections, each begun with these bytes; those that are closed are dialled again. */
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

/** `count` new connections a second that say this and no more, until the other side closes them. */
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

/** Prepares, and gives what begins the attack. */
export type Attack = (
  site: Site,
) => Promise<() => Promise<void> | void> | (() => Promise<void> | void);

const CURVE_GREETING = greetingOf({ mechanism: 'CURVE' });

export const ATTACKS = {
  /** Nothing but a process that computes: what the machine itself does to those who wait. */
  computing: () => () => {
    const compute = (): void => {
      const until = performance.now() + TICK_MS;
      while (performance.now() < until);
      setImmediate(compute);
    };
    compute();
  },

  /** Cheap valid messages, and what comes is read. */
  cheap: (site) => () => {
    const messages = 4000;
    const batch = repeated(message('', 'MDPC01', 'mmi.service', 'x'), messages);
    return flood(site, { connections: site.count, batch, messages });
  },

  /** Questions for the list of services, of which there are 10,000. */
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
    while ((await named()) < NAMES) await delay(REDIAL_MS);
    const messages = 200;
    const batch = repeated(message('', 'MDPC01', 'mmi.services', ''), messages);
    return () => flood(site, { connections: site.count, batch, messages });
  },

  /** Waits for one stored request that nobody serves; they end a second later, and there are more. */
  waits: async (site) => {
    const uuid = await stored(site, 'a service that nobody offers', 'x');
    const messages = 1000;
    const batch = repeated(request('titanic.wait', uuid, '1000'), messages);
    return () => flood(site, { connections: site.count, batch, messages });
  },

  /** Questions for one stored reply of 12 MB; every second connection does not read the answers. */
  questions: async (site) => {
    const large = Buffer.alloc(REPLY_BYTES, 'x');
    worker(site, 'large', (peer, token) => {
      peer.send('MDPW02', '\x04', token, '', large);
    });
    await untilServed(site, 'large');
    const uuid = await stored(site, 'large', 'x');
    while ((await ask(site, 'titanic.wait', uuid, '1000'))[0] !== '200');
    const messages = 240;
    const batch = repeated(request('titanic.reply', uuid), messages);
    const half = { connections: site.count / 2, batch, messages };
    return async () => {
      await Promise.all([flood(site, half), flood(site, { ...half, reads: false })]);
    };
  },

  /** Peers that do not read their replies of 1 MB; the attacker's own worker makes these. */
  deaf: async (site) => {
    const large = Buffer.alloc(DEAF_REPLY_BYTES, 'x');
    worker(site, 'loud', (peer, token) => {
      peer.send('MDPW02', '\x04', token, '', large);
    });
    await untilServed(site, 'loud');
    const question = request('loud', 'x');
    const first = 200;
    const come = (begun: () => void): void => {
      const socket = site.dial(HANDSHAKE, false);
      socket.write(repeated(question, first), begun);
      site.sent += first;
      // One that does not read learns by writing that it was closed.
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

  /** Parts of many small frames, which the broker joins for clients of 0.1. */
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

  /** CURVE connections that send a greeting and are silent then. */
  silent: (site) => () => {
    comeSilently(site, CURVE_GREETING);
  },

  /** CURVE connections that are silent after their HELLO. */
  hellos: async (site) => {
    const handshake = Buffer.concat([CURVE_GREETING, await hello(site.serverKey)]);
    return () => {
      comeSilently(site, handshake);
    };
  },

  /** Connections that have shaken hands and do nothing. */
  idle: (site) => () => hold(site, new Array<Buffer>(site.count).fill(HANDSHAKE)),

  /** Of six connections five that do nothing, and one that stops in its greeting. */
  halfOpen: (site) => () => {
    const half = greetingOf().subarray(0, HALF_OPEN_BYTES);
    const idle = Math.round(site.count * IDLE_SHARE);
    return hold(
      site,
      Array.from({ length: site.count }, (_, at) => (at < idle ? HANDSHAKE : half)),
    );
  },

  /** Requests of 1 KB to be stored, as fast as they are taken. */
  durable: (site) => () => {
    const messages = 100;
    const body = Buffer.alloc(1024, 'x');
    const batch = repeated(request('titanic.request', 'nobody', body), messages);
    return flood(site, { connections: site.count, batch, messages });
  },
} satisfies Readonly<Record<string, Attack>>;

export type AttackName = keyof typeof ATTACKS;
