/** The model's state: plain lists with linear search. */
import type { BrokerOptions } from '../../../src/broker/options.js';
import type { Failure } from '../../../src/wire/failure.js';
import type { ReadyIntent, RequestIntent, WorkerKind } from './intent.js';

/** The Guide's Paranoid Pirates count in seconds. */
const SECOND_MS = 1000;

export interface ModelHello {
  readonly envelope: readonly Buffer[];
  readonly refusesToWait: boolean;
  readonly hearsFailures: boolean;
}

export class ModelPeer {
  readonly id: number;
  readonly listener: number;
  readonly name: string | null;
  client: ModelClient | null = null;
  worker: ModelWorker | null = null;
  /** The latest one comes last. */
  readonly hellos: ModelHello[] = [];
  closing = false;
  full = false;
  /** When it is taken for a worker that waits, if it says nothing until then (D36). */
  revivesAt = Infinity;

  constructor(id: number, listener: number, name: string | null) {
    this.id = id;
    this.listener = listener;
    this.name = name;
  }
}

export class ModelClient {
  peer: ModelPeer | null;
  readonly name: string | null;
  readonly requests = new Set<ModelRequest>();
  slow = false;
  departed = false;

  constructor(peer: ModelPeer) {
    this.peer = peer;
    this.name = peer.name;
  }
}

export class ModelWorker {
  readonly peer: ModelPeer;
  readonly service: ModelService;
  readonly version: WorkerKind;
  /** 0: it leaves. */
  credit: number;
  readonly declaredCredit: boolean;
  readonly wantsHeaders: boolean;
  readonly wantsCancel: boolean;
  /** Its READY was a word, and so are the heartbeats that it is sent (D113). */
  readonly usesWords: boolean;
  /** In order of dispatch. */
  readonly held: ModelRequest[] = [];
  lastSeenAt: number;
  lastSentAt: number;
  heartbeatsWhileBusy = false;
  /** Increases with each change of its load: the lowest is the least recently used. */
  usedAt: number;

  constructor(
    peer: ModelPeer,
    service: ModelService,
    version: WorkerKind,
    { credit, headers = false, cancel = false, words = false }: ReadyIntent,
    now: number,
    usedAt: number,
  ) {
    this.peer = peer;
    this.service = service;
    this.version = version;
    this.credit = credit ?? 1;
    this.usesWords = words;
    this.declaredCredit = credit !== null;
    this.wantsHeaders = headers;
    this.wantsCancel = cancel;
    this.lastSeenAt = now;
    this.lastSentAt = now;
    this.usedAt = usedAt;
  }

  /** When it is lost, if nothing more is heard from it (D5, D34, D35). */
  lostAt(options: BrokerOptions): number {
    const { busyTimeoutMs } = options;
    const [oldest] = this.held;
    const overdueAt = (oldest?.dispatchedAt ?? Infinity) + busyTimeoutMs;
    if (this.version === 'spp') return overdueAt;
    const silentAt = this.#silentAt(options);
    if (this.version === 'ppp' && oldest !== undefined) {
      return this.heartbeatsWhileBusy ? Math.min(silentAt, overdueAt) : overdueAt;
    }
    if (oldest === undefined || this.heartbeatsWhileBusy) return silentAt;
    return Math.max(silentAt, oldest.dispatchedAt + busyTimeoutMs);
  }

  /** Whether its connection ends with it when it expires (D102, D35). */
  hasVanished(options: BrokerOptions, now: number): boolean {
    return typeof this.version === 'number' || this.#silentAt(options) <= now;
  }

  #silentAt({ heartbeatIntervalMs, heartbeatLiveness }: BrokerOptions): number {
    if (this.version === 'spp') return Infinity;
    const everyMs =
      this.version === 'ppp' ? Math.max(heartbeatIntervalMs, SECOND_MS) : heartbeatIntervalMs;
    return this.lastSeenAt + everyMs * heartbeatLiveness;
  }

  /** When it is next sent a heartbeat (D34). */
  heartbeatAt({ heartbeatIntervalMs }: BrokerOptions): number {
    if (this.version === 'spp') return Infinity;
    const isPirate = this.version === 'ppp';
    const everyMs = isPirate ? Math.min(heartbeatIntervalMs, SECOND_MS) : heartbeatIntervalMs;
    return this.lastSentAt + everyMs;
  }

  /** It knows no DISCONNECT (D33). */
  get isPirate(): boolean {
    return typeof this.version === 'string';
  }

  get isAvailable(): boolean {
    return !this.peer.full && this.held.length < this.credit;
  }
}

export class ModelService {
  readonly name: string;
  queue: ModelRequest[] = [];
  readonly workers = new Set<ModelWorker>();
  /** When the last of its workers was lost. */
  lostAt = -Infinity;
  /** Something was added to its queue since the last run. */
  touched = false;

  constructor(name: string) {
    this.name = name;
  }

  /** Least loaded first, then least recently used (D23). */
  nextWorker(): ModelWorker | null {
    let best: ModelWorker | null = null;
    for (const worker of this.workers) {
      if (!worker.isAvailable) continue;
      const load = worker.held.length - (best?.held.length ?? Infinity);
      if (load < 0 || (load === 0 && worker.usedAt < (best?.usedAt ?? Infinity))) best = worker;
    }
    return best;
  }
}

export type Outcome = 'answered' | 'too_late';

export class ModelRequest {
  readonly intent: RequestIntent;
  readonly service: ModelService;
  readonly bytes: number;
  /** Until when its client waits; Infinity: it did not say (D68). */
  readonly deadlineAt: number;
  /** When it expires if no worker has it. */
  readonly expiresAt: number;
  /** When it is looked at whether a worker serves it, as its client does not wait for one; Infinity: it does (D65). */
  unservedAt = Infinity;
  /** The hello that held when it came: whether it is to receive refusals (D11), whatever its next connection says. */
  readonly hello: ModelHello | null;
  client: ModelClient | null;
  /** Its client was disconnected because it did not read. */
  slow = false;
  state: 'queued' | 'out' | 'over' = 'queued';
  outcome: Outcome = 'too_late';
  worker: ModelWorker | null = null;
  dispatchedAt = 0;
  deliveries = 0;
  /** The present or last delivery. */
  delivery: Delivery | null = null;
  streamed = false;
  held: (readonly Buffer[])[] = [];
  /** Memory that they take. */
  heldRoom = 0;
  answered = false;
  givenUp = false;
  /** The last report of a worker about it, as far as it is kept (D61). */
  reported: Failure | null = null;
  /**
   * Position in the queue: a later loss before an earlier one; after one loss, in order. 0: never
   * given back.
   */
  lossStep = 0;
  lossGroup = 0;
  order: number;

  constructor(
    intent: RequestIntent,
    service: ModelService,
    client: ModelClient,
    hello: ModelHello | null,
    { now, ttlMs }: { readonly now: number; readonly ttlMs: number },
    order: number,
  ) {
    this.intent = intent;
    this.service = service;
    this.client = client;
    this.hello = hello;
    const deadlineMs = intent.metadata?.deadlineMs ?? 0;
    this.deadlineAt = deadlineMs === 0 ? Infinity : now + deadlineMs;
    this.expiresAt = Math.min(now + ttlMs, this.deadlineAt);
    this.order = order;
    this.bytes = bytesOf(intent);
  }

  /** True if this one must be dispatched before `other`. */
  isBefore(other: ModelRequest): boolean {
    if (this.lossStep !== other.lossStep) return this.lossStep > other.lossStep;
    return this.lossGroup === other.lossGroup && this.order < other.order;
  }
}

/** One delivery of a request to a worker. */
export class Delivery {
  readonly request: ModelRequest;
  readonly worker: ModelWorker;
  /** `lost`: its worker was lost in silence, and may still reply (D8). */
  state: 'out' | 'lost' | 'over' = 'out';
  spoiled = false;
  readonly token: Buffer;

  constructor(request: ModelRequest, worker: ModelWorker, token: Buffer) {
    this.request = request;
    this.worker = worker;
    this.token = token;
  }
}

/** What the broker holds of it: headers count like the body. */
export function bytesOf({ envelope, metadata, body }: RequestIntent): number {
  const headers = metadata ? packedSize([metadata.headers]) : 0;
  return packedSize(envelope) + headers + packedSize(body);
}

/** Bytes that frames take in the broker's memory: the same as on a ZMTP wire. */
export function packedSize(frames: readonly Uint8Array[]): number {
  return frames.reduce((sum, { length }) => sum + length + (length > 255 ? 9 : 2), 0);
}
