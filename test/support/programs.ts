/** A daemon with tokens of programs, its workers, and what programs send to it over HTTP. */
import { Worker } from '../../src/sdk/worker.js';
import type { Handler } from '../../src/sdk/worker/handler.js';
import { type Daemon, removeDaemons, startDaemon } from './daemon.js';
import { ask, type Ask, httpOf, RawHttp, type Reply, tokenOf } from './http.js';
import { MetricsPage } from './metrics.js';
import { until } from './until.js';

export const SHOP = 'a-token-of-the-shop';
/** May request no service but `other`. */
export const OTHER = 'a-token-of-another-one';
export const TOKENS =
  `http.tokens=[{name: shop, role: request, token: ${SHOP}, client: [work*, idle*], quota: shop}, ` +
  `{name: other, role: request, token: ${OTHER}, client: [other]}]`;

const stands: ProgramStand[] = [];

/** @param quota of the token SHOP, as in the configuration */
export async function openStand(quota = '{}', ...sets: readonly string[]): Promise<ProgramStand> {
  const quotas = `limits.quotas={shop: ${quota}}`;
  const all = ['http.listen=127.0.0.1:0', quotas, TOKENS, ...sets];
  return new ProgramStand(await startDaemon({ sets: all }), all);
}

/** Ends the workers of all stands, and then the daemons. */
export async function endStands(): Promise<void> {
  await Promise.all(stands.splice(0).map((stand) => stand.close()));
  await removeDaemons();
}

/** Status and code of an answer that is an error. */
export function failed({ status, json }: Reply): unknown {
  const { error } = json as { readonly error: { readonly code: string } };
  return [status, error.code];
}

/** Call `endStands` in `afterEach`. */
export class ProgramStand {
  readonly daemon: Daemon;
  readonly #sets: readonly string[];
  readonly #workers: Worker[] = [];

  constructor(daemon: Daemon, sets: readonly string[]) {
    this.daemon = daemon;
    this.#sets = sets;
    stands.push(this);
  }

  /** Kills the broker, and starts another on what it has stored. @param sets take precedence */
  async killed(...sets: readonly string[]): Promise<ProgramStand> {
    const { endpoint, dataDir } = this.daemon;
    await this.daemon.kill();
    const all = [...this.#sets, ...sets];
    return new ProgramStand(await startDaemon({ endpoint, dataDir, sets: all }), all);
  }

  get url(): string {
    return `${httpOf(this.daemon)}/api/v1`;
  }

  /** A worker that is registered. */
  async serve(handler: Handler, service = 'work'): Promise<void> {
    const worker = new Worker({ endpoints: [this.daemon.endpoint], service }, handler);
    this.#workers.push(worker);
    void worker.run();
    await this.daemon.until(
      () => this.daemon.logged('worker.registered').length >= this.#workers.length,
      'the worker registered',
    );
  }

  /** Sends a request. @param query as in the URL, with its `?` */
  request(body: string | Buffer, options: Ask = {}, query = '', service = 'work'): Promise<Reply> {
    const url = `${this.url}/services/${service}/requests${query}`;
    return ask(url, { method: 'POST', token: SHOP, body, ...options });
  }

  /** Sends requests with these headers over one connection, each after the answer to the one before. @returns the answers */
  async requestsOnOne(
    all: readonly Readonly<Record<string, string>>[],
    query = '',
  ): Promise<string> {
    const raw = new RawHttp(httpOf(this.daemon));
    const first = `POST /api/v1/services/work/requests${query} HTTP/1.1`;
    for (const [index, headers] of all.entries()) {
      const given = { host: 'localhost', authorization: `Bearer ${SHOP}`, ...headers };
      const lines = Object.entries(given).map(([name, value]) => `${name}: ${value}`);
      // In one piece: so the body has arrived with the head.
      raw.socket.write([first, ...lines, 'content-length: 1', '', 'x'].join('\r\n'));
      const answers = (): number => raw.received.split('HTTP/1.1 ').length - 1;
      await until(() => answers() > index, `answer ${index}`);
    }
    raw.socket.destroy();
    return raw.received;
  }

  get(path: string, options: Ask = {}): Promise<Reply> {
    return ask(this.url + path, { token: SHOP, ...options });
  }

  async metrics(): Promise<MetricsPage> {
    const { text } = await ask(`${httpOf(this.daemon)}/metrics`, { token: tokenOf(this.daemon) });
    return new MetricsPage(text);
  }

  /** Waits until so many requests for the service `work` wait or are at workers. */
  async untilWaiting(count: number): Promise<void> {
    const held = async (): Promise<number> => {
      const page = await this.metrics();
      const [queued = 0, out = 0] = ['requests_queued', 'requests_in_flight'].map((name) =>
        page.value(`${name}{service="work"}`),
      );
      return queued + out;
    };
    await until(async () => (await held()) === count, `${count} requests wait`);
  }

  /**
   * Waits until the broker holds no bytes of programs.
   * @param kinds without `input` after a worker sent so much that some of its connection's memory stays
   */
  async untilNothingIsHeld(kinds = ['requests', 'output', 'input']): Promise<void> {
    const held = async (): Promise<number> => {
      const page = await this.metrics();
      return kinds
        .map((kind) => page.value(`memory_held_bytes{kind="${kind}"}`) ?? 1)
        .reduce((sum, bytes) => sum + bytes, 0);
    };
    await until(async () => (await held()) === 0, 'nothing is held');
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.close({ graceMs: 0 })));
  }
}
