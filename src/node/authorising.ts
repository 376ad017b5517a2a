/** Asks the service that authorises keys, as a client of the broker within this process. */
import type { Broker } from '../broker/broker.js';
import type { BrokerLoop } from '../broker/io/loop.js';
import type { ListenerRules } from '../broker/rights.js';
import { type KeyAnswer, question, readAnswer } from '../config/authoriser-answer.js';
import { monotonicMs } from '../core/clock.js';
import { oneLine } from '../core/escape.js';
import type { Frames } from '../core/frames.js';
import { GlobSet } from '../core/glob.js';
import { OldestFirst } from '../core/oldest-first.js';
import { EventLog } from '../admin/log/event-log.js';
import type { Log } from '../admin/log/log.js';
import { AUTHORISER_EVENTS, type AuthoriserEvent } from '../admin/log/process-events.js';
import type { Throttle } from '../admin/log/throttle.js';
import { identityOf } from '../zmtp/identity.js';
import { LocalPeer } from '../zmtp/local.js';
import type { TransportPart } from '../zmtp/several.js';
import { clientRequest, readClientReply } from '../wire/client-side.js';
import type { Verdict } from '../zmtp/curve/server.js';
import { ASKED_MAX, Authoriser, type AuthoriserHost } from './authoriser.js';
import type { Elsewhere, Keys } from './io/keys.js';
import type { Rights } from './key-rights.js';

const RUN_MS = 250;
const HELLO: Buffer = Buffer.from('mmi.hello');
/** The envelope of its messages begins with this, followed by the number of the question. */
const OWN: Buffer = Buffer.from('authoriser');
const ID_BYTES = 4;

interface AuthorisingDeps {
  /** `security.authorize` */
  readonly service: string;
  /** The index of its listener: the first unused one. */
  readonly listener: number;
  readonly keys: Keys;
  readonly log: Log;
  readonly throttle: Throttle;
}

export class Authorising implements Elsewhere, AuthoriserHost {
  /** The transport of this client, for the broker. */
  readonly transport: TransportPart;
  readonly service: string;
  readonly #deps: AuthorisingDeps;
  readonly #log: EventLog;
  readonly #service: Buffer;
  readonly #peer: LocalPeer;
  readonly #authoriser = new Authoriser(this);
  /** The keys of open questions, by the id of their envelope. */
  readonly #asked = new OldestFirst<string, Buffer>();
  #questions = 0;
  #broker: Broker | null = null;
  #loop: BrokerLoop | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(deps: AuthorisingDeps) {
    this.#deps = deps;
    const { service, listener, log, throttle } = deps;
    this.service = service;
    this.#log = new EventLog(log, throttle, AUTHORISER_EVENTS);
    this.#service = Buffer.from(service, 'utf8');
    this.#peer = new LocalPeer(listener, (frames) => this.#received(frames));
    this.transport = {
      open: this.#peer.open,
      listeners: [{ endpoint: 'local', index: listener }],
    };
    deps.keys.elsewhere = this;
  }

  /** The rules of all listeners for the broker: those of the others and its own. */
  rulesOf(others: readonly ListenerRules[]): readonly ListenerRules[] {
    const rights = { client: GlobSet.all, worker: GlobSet.none };
    // Only this process connects to it, so no owner of stored requests has its rights.
    const own: ListenerRules = { ...rights, mmi: 'minimal', hasKeys: true, service: null };
    return [...others.map((rules) => ({ ...rules, authoriser: this.#service })), own];
  }

  /** Connects it with the broker, which it can ask from now on. */
  attach(broker: Broker, loop: BrokerLoop): void {
    this.#broker = broker;
    this.#loop = loop;
    this.#timer = setInterval(() => this.#authoriser.run(monotonicMs()), RUN_MS);
    this.#timer.unref();
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#broker = null;
  }

  // ---------------------------------------------------------------- calls from the keys

  verdict(publicKey: Buffer, address: string): Verdict {
    return this.#authoriser.verdict(publicKey, address, monotonicMs());
  }

  rightsOf(name: string): Readonly<Rights> {
    return this.#authoriser.rightsOf(name);
  }

  // ---------------------------------------------------------------- calls from the authoriser

  get isServing(): boolean {
    return this.#broker?.admission === 'serving';
  }

  isTaken(name: string): boolean {
    return this.#deps.keys.has(name);
  }

  isConnected(name: string): boolean {
    return this.#broker?.identities.isConnected(identityOf('', name)) === true;
  }

  changed(name: string): void {
    this.#loop?.rightsChanged(name);
  }

  revoked(publicKey: string): void {
    for (let listener = 0; listener < this.#deps.listener; listener++) {
      this.#broker?.connections.revoke(listener, publicKey);
    }
  }

  ask(publicKey: Buffer, address: string): void {
    // Deferred: this may run within a handshake or a turn of the loop.
    setImmediate(() => {
      if (this.#broker?.listing.isServed(this.#service) !== true) {
        const why = 'no worker offers it';
        this.#authoriser.answered(publicKey, { kind: 'unusable', why }, monotonicMs());
        return;
      }
      const id = Buffer.alloc(ID_BYTES);
      id.writeUInt32BE(this.#questions++ % 2 ** (8 * ID_BYTES));
      this.#remember(id, publicKey);
      // So that the broker sends refusals.
      this.#peer.send(clientRequest(2, OWN, HELLO, []));
      const body = [question(publicKey, address)];
      this.#peer.send([OWN, ...clientRequest(2, id, this.#service, body)]);
    });
  }

  #remember(id: Buffer, publicKey: Buffer): void {
    // A question that was given up; otherwise its answer would have arrived.
    if (this.#asked.size >= 2 * ASKED_MAX) this.#asked.shift();
    this.#asked.set(id.toString('hex'), publicKey);
  }

  #received(frames: Frames): void {
    const reply = readClientReply(frames);
    if (reply.kind !== 'final' || reply.envelopeFrames !== 2) return;
    const id = frames.view(1).toString('hex');
    const publicKey = this.#asked.get(id);
    if (publicKey === undefined) return;
    this.#asked.delete(id);
    const body = frames.copyFrom(reply.body);
    const answer: KeyAnswer = frames.equals(reply.service, this.#service)
      ? readAnswer(body)
      : {
          kind: 'unusable',
          why: `the request to it was refused: ${oneLine(body.map((frame) => frame.toString()).join(' '))}`,
        };
    this.#authoriser.answered(publicKey, answer, monotonicMs());
  }

  report(event: AuthoriserEvent): void {
    this.#log.emit(event);
  }
}
