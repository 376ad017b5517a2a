/** A client with a session on a stage, which comes back over other connections (D116). */
import type { Frames } from '../../src/core/frames.js';
import {
  clientRequest,
  clientRequestWithOptions,
  readClientReply,
} from '../../src/wire/client-side.js';
import { EMPTY } from '../../src/wire/mdp.js';
import { requestOptionsFrame } from '../../src/wire/request-options.js';
import type { Stage } from './stage.js';
import type { Connection, ConnectionOptions } from './stage-peers.js';

const SESSION = 'a-session-of-96bit';

export interface SessionOptions extends ConnectionOptions {
  readonly session?: string;
  /** Ids that proxies put before those of its requests. */
  readonly proxies?: readonly string[];
  /** The connection of its proxy. */
  readonly over?: Connection;
}

export class SessionClient {
  connection: Connection;
  /** What it was told of its session. */
  greeting: string;
  readonly #stage: Stage;
  readonly #options: SessionOptions;
  #connections = 0;
  #inbox: string[] = [];

  constructor(stage: Stage, options: SessionOptions = {}) {
    this.#stage = stage;
    this.#options = options;
    this.connection = this.#connected();
    this.greeting = this.hello();
  }

  /** A new connection, whatever became of the last one. @returns what it was told of its session */
  comesBack(): string {
    this.connection = this.#connected();
    return (this.greeting = this.hello());
  }

  #connected(): Connection {
    const { over } = this.#options;
    const name = `session ${++this.#connections}`;
    const connection = over ?? this.#stage.connection(name, this.#options);
    connection.addReader({ reads: (frames) => this.#reads(frames) });
    return connection;
  }

  hello(session = this.#options.session ?? SESSION): string {
    this.#sends([], 'mmi.hello', JSON.stringify({ session }));
    return this.#answer('mmi.hello');
  }

  /** @param ids of requests */
  resume(...ids: string[]): string {
    this.#sends([], 'mmi.resume', ...ids);
    return this.#answer('mmi.resume');
  }

  request(id: string, body = id, service = 'echo'): this {
    this.#sends([id], service, body);
    return this;
  }

  /** A request that may run once (D117). */
  once(id: string): this {
    const options = requestOptionsFrame({ once: true });
    const metadata = { deadlineMs: 0, headers: EMPTY };
    const service = Buffer.from('echo');
    const body = [Buffer.from(id)];
    const frames = clientRequestWithOptions(null, service, options, metadata, body);
    this.connection.sends(...(this.#options.proxies ?? []), id, '', ...frames);
    return this;
  }

  cancel(...ids: string[]): void {
    this.#sends([], 'mmi.cancel', ...ids);
    this.#answer('mmi.cancel');
  }

  /** Answers since the last call: the id of the request, service and body. */
  inbox(): string[] {
    return this.#inbox.splice(0);
  }

  #answer(service: string): string {
    const last = this.#inbox.pop() ?? '';
    if (!last.startsWith(` ${service} `)) throw new Error(`${service}: ${last}`);
    return last.slice(service.length + 2);
  }

  #sends(ids: readonly string[], service: string, ...body: string[]): void {
    const { proxies = [] } = this.#options;
    const bodies = body.map((frame) => Buffer.from(frame, 'latin1'));
    const frames = clientRequest(2, null, Buffer.from(service), bodies);
    this.connection.sends(...proxies, ...ids, '', ...frames);
  }

  #reads(frames: Frames): boolean {
    const reply = readClientReply(frames);
    if (reply.kind === 'malformed') return false;
    const { proxies = [] } = this.#options;
    const all = frames.copyFrom(0).map((frame) => frame.toString('latin1'));
    const ids = all.slice(0, Math.max(0, reply.envelopeFrames));
    if (proxies.some((proxy, at) => ids[at] !== proxy)) return false;
    const kind = reply.kind === 'partial' ? 'PARTIAL ' : '';
    const body = all.slice(reply.body).join('|');
    const service = all[reply.service] ?? '';
    this.#inbox.push(`${ids.slice(proxies.length).join('/')} ${kind}${service} ${body}`);
    return true;
  }
}
