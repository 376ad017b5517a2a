/**
 * The clients and workers of a test with brokers that are real processes. Call `endAll` in
 * `afterEach`: it ends them, the brokers, and whatever else a test has started.
 *
 * ```ts
 * const seen = serve([a, b], 'upper', (text) => text.toUpperCase());
 * expect(await ask(clientOf(c), 'titanic.request', 'upper', 'x')).toEqual(['200', …]);
 * ```
 */
import { Client } from '../../src/sdk/client.js';
import type { ClientOptions } from '../../src/sdk/options.js';
import { Worker } from '../../src/sdk/worker.js';
import type { WorkerOptions } from '../../src/sdk/worker/worker-options.js';
import { type Daemon, removeDaemons } from './daemon.js';
import { endNats } from './nats-server.js';
import { closeRelays } from './tcp-relay.js';
import { PATIENCE_MS } from './patience.js';

const closing: (() => Promise<unknown>)[] = [];

type Brokers = Daemon | readonly Daemon[];

function endpointsOf(brokers: Brokers): string[] {
  return [brokers].flat().map(({ endpoint }) => endpoint);
}

/** `close` is called by `endAll`, before the brokers end. */
export function atEnd(close: () => Promise<unknown>): void {
  closing.push(close);
}

/** A client that asks brokers themselves once, too. */
export function clientOf(brokers: Brokers, options: Pick<ClientOptions, 'timeoutMs'> = {}): Client {
  const endpoints = endpointsOf(brokers);
  const client = new Client({
    endpoints,
    timeoutMs: PATIENCE_MS,
    resendMs: PATIENCE_MS,
    ...options,
  });
  atEnd(() => client.close());
  return client;
}

/** The frames of a reply as text. Of a Titanic service: status and what it says. */
export async function ask(client: Client, service: string, ...body: string[]): Promise<string[]> {
  return (await client.request(service, body)).frames.map(String);
}

/** A worker at these brokers. @returns what it has been asked, also later */
export function serve(
  brokers: Brokers,
  service: string,
  handler: (text: string) => string | Promise<string> = (text) => text,
  options: Pick<WorkerOptions, 'concurrency'> = {},
): readonly string[] {
  const seen: string[] = [];
  const endpoints = endpointsOf(brokers);
  const worker = new Worker({ endpoints, service, ...options }, (asked) => {
    seen.push(asked.text());
    return handler(asked.text());
  });
  atEnd(() => worker.close({ graceMs: 0 }));
  void worker.run();
  return seen;
}

/** A handler that answers in capitals. */
export function upper(text: string): string {
  return text.toUpperCase();
}

/** Ends the clients and workers so far. */
export async function endUsers(): Promise<void> {
  await Promise.all(closing.splice(0).map((close) => close()));
}

/** Ends clients and workers first, so that they do not ask what has ended. */
export async function endAll(): Promise<void> {
  await endUsers();
  await removeDaemons();
  await endNats();
  closeRelays();
}
