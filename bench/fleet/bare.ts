/**
 * One end of a bare pair on the NATS library: requests and replies in packs as brokers send them,
 * and nothing else. The origin keeps `outstanding` requests under way for the given time.
 *
 *     node bare.js holder PORT
 *     node bare.js origin PORT OUTSTANDING BODY_BYTES SECONDS WARMUP_SECONDS
 *
 * The holder prints a line when it is ready, and its CPU time at each line of its input. The origin
 * prints a line of JSON at both ends of the window: when it begins, and its result.
 */
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';

import { type NatsConnection, loadNats } from '../../src/extensions/fleet/io/library.js';

const PACK_BYTES = 64 * 1024;
/** Token and length. */
const HEAD_BYTES = 10;
const SAMPLES_MAX = 2_000_000;

const [role = '', port = '', ...numbers] = process.argv.slice(2);
const [outstanding = 1, bodyBytes = 1024, seconds = 1, warmupSeconds = 1] = numbers.map(Number);

/** What is sent at the end of the turn to one subject. */
class Packs {
  readonly #connection: NatsConnection;
  readonly #subject: string;
  #entries: Buffer[] = [];
  #bytes = 0;
  #isDue = false;

  constructor(connection: NatsConnection, subject: string) {
    this.#connection = connection;
    this.#subject = subject;
  }

  add(token: number, body: Buffer): void {
    const entry = Buffer.allocUnsafe(HEAD_BYTES + body.length);
    entry.writeUIntBE(token, 0, 6);
    entry.writeUInt32BE(body.length, 6);
    body.copy(entry, HEAD_BYTES);
    if (this.#bytes + entry.length > PACK_BYTES) this.#send();
    this.#entries.push(entry);
    this.#bytes += entry.length;
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      this.#send();
    });
  }

  #send(): void {
    if (this.#entries.length === 0) return;
    this.#connection.publish(this.#subject, Buffer.concat(this.#entries, this.#bytes));
    this.#entries = [];
    this.#bytes = 0;
  }
}

function read(data: Uint8Array, each: (token: number, body: Buffer) => void): void {
  const pack = Buffer.from(data);
  for (let at = 0; at < pack.length;) {
    const end = at + HEAD_BYTES + pack.readUInt32BE(at + 6);
    each(pack.readUIntBE(at, 6), pack.subarray(at + HEAD_BYTES, end));
    at = end;
  }
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

async function connect(): Promise<NatsConnection> {
  const library = await loadNats();
  return await library.connect({
    ...{ servers: [`127.0.0.1:${port}`], name: role, noEcho: true, ignoreClusterUpdates: true },
    ...{ timeout: 2000, pingInterval: 1000, maxPingOut: 2, maxReconnectAttempts: 0 },
    ...{ reconnectTimeWait: 100, reconnectJitter: 0, reconnectJitterTLS: 0 },
    ignoreAuthErrorAbort: false,
  });
}

async function holder(): Promise<void> {
  const connection = await connect();
  const replies = new Packs(connection, 'bare.origin');
  connection.subscribe('bare.holder', {
    callback: (_error, { data }) => read(data, (token, body) => replies.add(token, body)),
  });
  await connection.flush();
  say('ready');
  for await (const _line of createInterface({ input: process.stdin })) say(String(cpuSeconds()));
  await connection.close();
}

async function origin(): Promise<void> {
  const connection = await connect();
  const requests = new Packs(connection, 'bare.holder');
  const sentAt = new Map<number, number>();
  const body = Buffer.alloc(bodyBytes, 'x');
  const samples = new Float64Array(SAMPLES_MAX);
  let [last, answered, isMeasured] = [0, 0, false];
  const send = (): void => {
    sentAt.set(++last, performance.now());
    requests.add(last, body);
  };
  connection.subscribe('bare.origin', {
    callback: (_error, { data }) => {
      read(data, (token) => {
        const since = sentAt.get(token);
        if (since === undefined) return;
        sentAt.delete(token);
        if (isMeasured) samples[answered++ % SAMPLES_MAX] = performance.now() - since;
        send();
      });
    },
  });
  await connection.flush();
  for (let n = 0; n < outstanding; n++) send();
  await new Promise((resolve) => setTimeout(resolve, warmupSeconds * 1000));
  const [from, cpuFrom] = [performance.now(), cpuSeconds()];
  isMeasured = true;
  say(JSON.stringify({}));
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  isMeasured = false;
  const sorted = samples.subarray(0, Math.min(answered, SAMPLES_MAX)).sort();
  say(
    JSON.stringify({
      requests: answered,
      seconds: (performance.now() - from) / 1000,
      cpuSeconds: cpuSeconds() - cpuFrom,
      p50Us: quantile(sorted, 0.5) * 1000,
    }),
  );
  await connection.close();
}

await (role === 'holder' ? holder() : origin());
