/** Peers of a `Stage` on listeners for one service, frame for frame as the Guide's programs. */
import type { Connection, ConnectionOptions, FrameLike } from './stage-peers.js';
import { rules } from './rights.js';
import { type Stage, stage, type StageOptions } from './stage.js';

/** The listeners of `pirateStage`. */
export const MDP = 0;
const CLIENTS = 1;
export const WORKERS = 2;

/** A stage with a listener for MDP, one for clients and one for workers of `echo`. */
export function pirateStage(options: StageOptions = {}): Stage {
  const service = Buffer.from('echo');
  return stage({
    listeners: [
      rules(true, true),
      { ...rules(true, false), service },
      { ...rules(false, true), service },
    ],
    ...options,
  });
}

type Kind = 'spp' | 'ppp';

/** A worker of `echo`: a REQ (Simple Pirate) or a DEALER (Paranoid Pirate). */
class Pirate {
  readonly connection: Connection;
  readonly #before: readonly string[];
  /** The token of the request that it has. */
  #token = '';

  constructor(kind: Kind, s: Stage, name: string, options: ConnectionOptions = {}) {
    this.#before = kind === 'spp' ? [''] : [];
    const socketType = kind === 'spp' ? 'REQ' : 'DEALER';
    this.connection = s.connection(name, { listener: WORKERS, socketType, ...options });
  }

  ready(): this {
    return this.sends('\x01');
  }

  heartbeat(): this {
    return this.sends('\x02');
  }

  /** A reply to the request that it got last. */
  final(...body: FrameLike[]): this {
    return this.sends(this.#token, '', ...body);
  }

  /** A reply with this token. */
  replies(token: string, ...body: FrameLike[]): this {
    return this.sends(token, '', ...body);
  }

  sends(...frames: FrameLike[]): this {
    this.connection.sends(...this.#before, ...frames);
    return this;
  }

  get token(): string {
    return this.#token;
  }

  /** What it received since the last call: `HEARTBEAT`, or the body of a request. */
  inbox(): string[] {
    return this.connection.raw().map((frames) => {
      const [first, ...rest] = frames.slice(this.#before.length);
      if (rest.length === 0) return first === '\x02' ? 'HEARTBEAT' : `? ${first ?? ''}`;
      this.#token = first ?? '';
      return rest.slice(1).join('|');
    });
  }

  /** Requests alone. */
  requests(): string[] {
    return this.inbox().filter((message) => message !== 'HEARTBEAT');
  }
}

export function simple(s: Stage, name: string, options?: ConnectionOptions): Pirate {
  return new Pirate('spp', s, name, options);
}

export function paranoid(s: Stage, name: string, options?: ConnectionOptions): Pirate {
  return new Pirate('ppp', s, name, options);
}

/** A connection to the listener for clients of `echo`. */
export function plain(s: Stage, name: string, options: ConnectionOptions = {}): Connection {
  return s.connection(name, { listener: CLIENTS, socketType: 'REQ', ...options });
}

export function freelance(s: Stage, name: string): Connection {
  return s.connection(name, { listener: CLIENTS, socketType: 'ROUTER' });
}
