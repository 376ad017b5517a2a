/**
 * The client of a map, as a script drives it: nodes say what 12/CHP says, and what the client does is
 * told in lines. Endpoints are `a`, `b`, `c`. A number is written `epoch.counter`.
 */
import { present } from '../../../../src/core/assert.js';
import { Frames } from '../../../../src/core/frames.js';
import { MapClient, type MapClientSink } from '../../../../src/sdk/map/map-client.js';
import type { OwnChange } from '../../../../src/sdk/map/own-changes.js';
import { writeNumber } from '../../../../src/wire/chp-client.js';

export interface StageOptions {
  readonly endpoints?: number;
  readonly subtree?: string;
  readonly bytesMax?: number;
  readonly changesMax?: number;
  /** The byte of which its id as a writer is made. */
  readonly writer?: number;
}

const NAMES = 'abc';

export class ClientStage {
  readonly client: MapClient;
  now = 0;
  /** Effects since `news` was last called. */
  told: string[] = [];
  readonly #sent = new Map<string, OwnChange>();

  constructor(options: StageOptions = {}) {
    const { endpoints = 2, subtree = '', bytesMax = 10_000, changesMax = 10, writer = 1 } = options;
    const settings = { endpoints, subtree, bytesMax, changesMax };
    this.client = new MapClient(
      settings,
      this.#sink(),
      () => 0,
      (target) => target.fill(writer),
    );
    this.client.start(this.now);
  }

  /** Synced with `a`, whose map has these keys. */
  static synced(map: Readonly<Record<string, string>> = {}, options: StageOptions = {}) {
    const stage = new ClientStage(options);
    stage.connect('a');
    if (options.endpoints !== 1) stage.connect('b');
    stage.hugz('a').snapshot(map);
    stage.told = [];
    return stage;
  }

  /** The effects since the last call. */
  get news(): readonly string[] {
    const { told } = this;
    this.told = [];
    return told;
  }

  get map(): object {
    const pairs = [...this.client.values].map(([key, value]) => [key, String(value)] as const);
    return Object.fromEntries(pairs);
  }

  // ---------------------------------------------------------------- connections

  connect(node: string): this {
    this.client.subscribed(at(node));
    return this;
  }

  cut(node: string): this {
    this.client.unsubscribed(at(node), this.now);
    return this;
  }

  refuseKey(node: string): this {
    this.client.keyRefused(at(node));
    return this;
  }

  /** The node has subscribed to changes. */
  take(node: string): this {
    this.client.writable(at(node));
    return this;
  }

  cutWriter(node: string): this {
    this.client.unwritable(at(node));
    return this;
  }

  // ---------------------------------------------------------------- what nodes say

  hugz(node: string): this {
    return this.publish(node, 'HUGZ', '0.0', '');
  }

  /** An empty value: the key is deleted. @param of a change that the client has sent */
  publish(node: string, key: string, number: string, value: string, of = ''): this {
    const uuid = of === '' ? '' : present(this.#sent.get(of), of).uuid;
    this.client.published(at(node), record(key, number, uuid, value), this.now);
    return this;
  }

  /** The echo of a change, and no other. */
  echo(node: string, name: string, number: string): this {
    const { request } = present(this.#sent.get(name), name);
    return this.publish(node, request.key.toString(), number, String(request.value), name);
  }

  sync(key: string, number: string, value: string): this {
    this.client.answered(record(key, number, '', value), this.now);
    return this;
  }

  end(number = '1.0'): this {
    return this.sync('KTHXBAI', number, '');
  }

  /** Its records have this number. */
  snapshot(map: Readonly<Record<string, string>>, number = '1.0'): this {
    for (const [key, value] of Object.entries(map)) this.sync(key, number, value);
    return this.end(number);
  }

  /** A published message, or one of a snapshot, of any frames. */
  say(node: string, ...frames: readonly string[]): this {
    this.client.published(at(node), Frames.of(...frames), this.now);
    return this;
  }

  answer(...frames: readonly string[]): this {
    this.client.answered(Frames.of(...frames), this.now);
    return this;
  }

  askFails(): this {
    this.client.askFailed(this.now);
    return this;
  }

  // ---------------------------------------------------------------- time and changes

  pass(ms: number, hugging = ''): this {
    const until = this.now + ms;
    let hugAt = this.now + 1000;
    for (;;) {
      const dueAt = Math.min(this.client.dueAt, hugging === '' ? Infinity : hugAt);
      if (dueAt > until) break;
      this.now = Math.max(this.now, dueAt);
      if (this.now >= hugAt && hugging !== '') {
        hugAt += 1000;
        this.hugz(hugging);
      }
      this.client.tick(this.now);
    }
    this.now = until;
    return this;
  }

  /** @param name under which scripts know the change */
  set(name: string, key: string, value: string, timeoutMs = 10_000): this {
    const change = this.client.change(
      {
        key: Buffer.from(key),
        properties: Buffer.alloc(0),
        value: Buffer.from(value),
        timeoutMs,
        settled: (error) => {
          this.told.push(`${name} ${error === null ? 'done' : error.code}`);
        },
      },
      this.now,
    );
    if (change === null) this.told.push(`${name} refused`);
    else this.#sent.set(name, change);
    return this;
  }

  /** Of a change that is not settled. */
  sends(name: string): number {
    return present(this.#sent.get(name), name).sends;
  }

  uuid(name: string): string {
    return present(this.#sent.get(name), name).uuid.toString('hex');
  }

  #sink(): MapClientSink {
    const tell = (line: string): void => {
      this.told.push(line);
    };
    return {
      ask: (endpoint) => tell(`ask ${name(endpoint)}`),
      stopAsking: () => undefined,
      send: (endpoint, { request: { key, value }, uuid }) => {
        tell(
          `send ${key.toString()}=${String(value)} #${uuid.readUIntBE(0, 6)} to ${name(endpoint)}`,
        );
      },
      changed: (key, before, after) => tell(`${key}: ${String(before)} > ${String(after)}`),
      replaced: (before, after) => tell(`replaced ${before.size} > ${after.size}`),
      synced: (endpoint) => tell(`synced ${name(endpoint)}`),
      lost: (endpoint, reason) => tell(`lost ${name(endpoint)} ${reason}`),
      unserved: () => {
        this.told.push('unserved');
      },
      failed: (error) => tell(`failed ${error.code}`),
    };
  }
}

function at(node: string): number {
  return NAMES.indexOf(node);
}

function name(endpoint: number): string {
  return NAMES[endpoint] ?? '?';
}

function record(key: string, number: string, uuid: string | Buffer, value: string): Frames {
  const [epoch = 0, counter = 0] = number.split('.').map(Number);
  const bytes = Buffer.alloc(8);
  writeNumber(bytes, 0, epoch, counter);
  return Frames.of(key, bytes, uuid, '', value);
}
