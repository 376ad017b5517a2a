/** The scenarios of test/scenarios/sdk.json, which the Python package runs as well. */
import { readFileSync } from 'node:fs';

import { Client } from '../../../src/sdk/client.js';
import { ServiceError, Worker } from '../../../src/sdk/worker.js';
import type { Handler } from '../../../src/sdk/worker/handler.js';
import { type Daemon, removeDaemons, startDaemon } from '../../support/daemon.js';
import { PATIENCE_MS } from '../../support/patience.js';
import { until } from '../../support/until.js';

interface Step {
  readonly do: string;
  readonly id: string;
  readonly service: string;
  readonly handler: string;
  readonly broker: number;
  readonly count: number;
  readonly bytes?: number;
  readonly body: string;
  readonly timeoutMs?: number;
  readonly code: string;
  readonly serviceCode?: string;
}

interface Scenario {
  readonly name: string;
  readonly brokers?: number;
  readonly steps: readonly Step[];
}

const SCENARIOS = JSON.parse(readFileSync('test/scenarios/sdk.json', 'utf8')) as Scenario[];
const LIMIT = 1_048_576;
const sets = [`limits.messageBytes=${LIMIT}`];

class Coded extends Error {
  readonly code: string;

  constructor(code: string) {
    super('It has a code');
    this.code = code;
  }
}

const STRANGE: Readonly<Record<string, string>> = {
  levels: `{"a":${'['.repeat(5000)}${']'.repeat(5000)}}`,
  digits: `{"a":${'9'.repeat(5000)}}`,
};

afterEach(removeDaemons);

/** How a request ended: its text, or the error. */
type Outcome = Promise<{ readonly text: string } | { readonly error: unknown }>;

class Run {
  readonly #brokers: Daemon[];
  readonly #endpoints: readonly string[];
  readonly #client: Client;
  readonly #workers = new Map<string, Worker>();
  readonly #requests = new Map<string, { outcome: Outcome; abort: AbortController }>();
  #begun = 0;
  #aborted = 0;
  #release: () => void = () => undefined;
  readonly #released = new Promise<void>((resolve) => {
    this.#release = resolve;
  });

  constructor(brokers: Daemon[]) {
    this.#brokers = brokers;
    this.#endpoints = brokers.map(({ endpoint }) => endpoint);
    this.#client = new Client({ endpoints: this.#endpoints });
  }

  async close(): Promise<void> {
    this.#release();
    await Promise.all(
      Array.from(this.#workers.values(), (worker) => worker.close({ graceMs: 100 })),
    );
    await this.#client.close();
  }

  async step(step: Step): Promise<void> {
    switch (step.do) {
      case 'worker':
        await this.#start(step);
        return;
      case 'request':
        this.#request(step);
        return;
      case 'begun':
        await until(() => this.#begun >= step.count, 'a handler has begun');
        return;
      case 'aborted':
        await until(() => this.#aborted >= step.count, 'a handler was told');
        return;
      case 'release':
        this.#release();
        return;
      case 'kill':
        await this.#broker(step).kill();
        return;
      case 'start': {
        const { endpoint, dataDir } = this.#broker(step);
        this.#brokers[step.broker] = await startDaemon({ endpoint, dataDir, sets });
        return;
      }
      case 'closeWorker':
        await this.#workers.get(step.id)?.close({ graceMs: 0 });
        return;
      case 'late':
        expect(this.#client.counters.late).toBe(step.count);
        return;
      default:
        await this.#ends(step);
    }
  }

  #broker({ broker }: Step): Daemon {
    const found = this.#brokers[broker];
    if (found === undefined) throw new Error(`no broker ${broker}`);
    return found;
  }

  async #start({ id, service, handler }: Step): Promise<void> {
    const options = { endpoints: this.#endpoints, service, retryMaxMs: 200 };
    const worker = new Worker(options, this.#handler(handler));
    this.#workers.set(id, worker);
    void worker.run();
    await worker.ready;
  }

  #handler(name: string): Handler {
    switch (name) {
      case 'echo':
        return (request) => request.frames;
      case 'hold':
        return async (request) => {
          this.#begun++;
          request.signal.addEventListener('abort', () => this.#aborted++);
          await this.#released;
          return request.frames;
        };
      case 'large':
        return () => Buffer.alloc(2 * LIMIT);
      case 'coded':
        return (request) => {
          throw new Coded(request.text());
        };
      case 'strange':
        return (request) => {
          const json = STRANGE[request.text()] ?? '';
          const error = new ServiceError('strange', 'It has strange details');
          throw Object.assign(error, { detail: [Buffer.from(json)] });
        };
      default:
        return () => {
          throw new ServiceError('card_declined', 'The card was declined');
        };
    }
  }

  #request({ id, service, bytes, body, timeoutMs = PATIENCE_MS }: Step): void {
    const abort = new AbortController();
    const sent = bytes === undefined ? body : Buffer.alloc(bytes);
    const options = { timeoutMs, signal: abort.signal };
    const outcome = this.#client.request(service, sent, options).then(
      (reply) => ({ text: reply.text() }),
      (error: unknown) => ({ error }),
    );
    this.#requests.set(id, { outcome, abort });
  }

  async #ends({ do: kind, id, body, code, serviceCode }: Step): Promise<void> {
    const request = this.#requests.get(id);
    if (request === undefined) throw new Error(`no request ${id}`);
    if (kind === 'cancel') request.abort.abort();
    const outcome = await request.outcome;
    if (kind === 'reply') {
      expect(outcome).toEqual({ text: body });
      return;
    }
    const expected = kind === 'cancel' ? { code: 'ERR_MDP_ABORTED' } : { code };
    const service = serviceCode === undefined ? {} : { serviceCode };
    expect(outcome).toMatchObject({ error: { ...expected, ...service } });
  }
}

describe('scenarios of both SDKs', () => {
  it.each(SCENARIOS)('$name', async ({ brokers = 1, steps }) => {
    const daemons = Array.from({ length: brokers }, () => startDaemon({ sets }));
    const run = new Run(await Promise.all(daemons));
    try {
      for (const step of steps) await run.step(step);
    } finally {
      await run.close();
    }
  });
});
