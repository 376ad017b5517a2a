/**
 * A fifth of the handlers throw, a fifth of the commands exit with 3, and workers are killed.
 *
 * Every plain request ends with its own reply or with what the service said; every stored one is
 * answered in the end. The broker loses only the workers that were killed: a failure is
 * never reported as a lost worker.
 */
import { setTimeout as pause } from 'node:timers/promises';

import { codeOf, messageOf } from '../../src/core/errors.js';
import { Client } from '../../src/sdk/client.js';
import { ServiceError, Worker } from '../../src/sdk/worker.js';
import { Child } from '../support/child.js';
import { startDaemon } from '../support/daemon.js';
import { freePorts } from '../support/free-ports.js';
import type { SimRandom } from '../simulation/world/random.js';
import { silent } from '../support/silent.js';

const SERVICES = ['handler', 'command'] as const;
const LANES = 12;
const HANDLERS = 2;
const COMMANDS = 3;
/** Between two kills. */
const KILL_MS_MAX = 600;
const DEADLINE_MS = 60_000;

const SETS = ['titanic.maxAttempts=1000', 'titanic.retryBaseMs=10', 'titanic.retryMaxMs=100'];

/** A fifth of the runs fail, chosen by the kernel's random numbers. */
const SCRIPT =
  'r=$(od -An -N2 -tu2 /dev/urandom); ' +
  'if [ $((r % 5)) -eq 0 ]; then echo "as it happens" >&2; exit 3; fi; tr a-z A-Z';

class Failing {
  readonly #endpoint: string;
  readonly #random: SimRandom;
  readonly #client: Client;
  readonly #handlers: Worker[];
  readonly #commands: Child[] = [];
  kills = 0;
  plain = 0;
  stored = 0;
  /** Plain requests whose service said that it failed, and how often handlers threw. */
  failed = 0;
  thrown = 0;
  isOver = false;

  constructor(endpoint: string, random: SimRandom) {
    this.#endpoint = endpoint;
    this.#random = random;
    const patience = { timeoutMs: DEADLINE_MS };
    this.#client = new Client({ endpoints: [endpoint], ...patience });
    this.#handlers = Array.from({ length: HANDLERS }, () => this.#handler());
  }

  #handler(): Worker {
    const random = this.#random;
    const options = { endpoints: [this.#endpoint], service: 'handler', concurrency: 4 };
    const worker = new Worker(options, (request) => {
      if (!random.chance(0.2)) return request.text().toUpperCase();
      this.thrown++;
      if (random.chance(0.5)) throw new Error('as it happens');
      throw new ServiceError('as-it-happens', 'as it happens', { details: { why: 'chaos' } });
    });
    return silent(worker);
  }

  async start(): Promise<void> {
    for (const worker of this.#handlers) void worker.run();
    while (this.#commands.length < COMMANDS) await this.#come();
  }

  async #come(): Promise<void> {
    const options = ['--concurrency', '4', '--endpoint', this.#endpoint];
    const worker = new Child(['worker', 'command', ...options, '--', 'sh', '-c', SCRIPT]);
    await worker.until(({ stderr }) => stderr.includes('registered at'), 'its registration');
    this.#commands.push(worker);
  }

  /** Kills the oldest worker with SIGKILL, and starts another. */
  async kill(): Promise<void> {
    await pause(this.#random.int(0, KILL_MS_MAX));
    this.kills++;
    this.#commands.shift()?.signal('SIGKILL');
    await this.#come();
  }

  async lane(name: string): Promise<void> {
    for (let number = 0; !this.isOver; number++) {
      const service = this.#random.pick(SERVICES);
      const body = `${name} ${number}`;
      if (this.#random.chance(0.5)) await this.#ask(service, body);
      else await this.#store(service, body);
    }
  }

  async #ask(service: string, body: string): Promise<void> {
    this.plain++;
    try {
      isOwn(body, (await this.#client.request(service, body)).text());
    } catch (error) {
      if (codeOf(error) !== 'ERR_SERVICE_FAILED') throw error;
      if (!messageOf(error).endsWith('as it happens')) throw error;
      this.failed++;
    }
  }

  async #store(service: string, body: string): Promise<void> {
    this.stored++;
    const job = await this.#client.submit(service, body);
    isOwn(body, (await job.result({ timeoutMs: DEADLINE_MS })).text());
    await job.close();
  }

  async close(): Promise<void> {
    await this.#client.close();
    await Promise.all(this.#handlers.map((worker) => worker.close()));
    for (const worker of this.#commands) worker.signal('SIGTERM');
    await Promise.all(this.#commands.map((worker) => worker.finished()));
  }
}

function isOwn(body: string, reply: string): void {
  if (reply !== body.toUpperCase()) throw new Error(`'${body}' was answered by '${reply}'`);
}

/** What a metric of the daemon is, all its labels together that begin so. */
async function metric(http: string, beginning: string): Promise<number> {
  const text = await (await fetch(`http://${http}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line.startsWith(`majordomo_${beginning}`));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

function same(what: string, is: number, should: number): void {
  if (is !== should) throw new Error(`${what}: ${is}, and not ${should}`);
}

export async function failWorkers(cycles: number, random: SimRandom): Promise<string> {
  const [port = 0] = await freePorts(1);
  const http = `127.0.0.1:${port}`;
  const daemon = await startDaemon({ sets: [...SETS, `http.listen=${http}`] });
  const failing = new Failing(daemon.endpoint, random);
  await failing.start();
  const lanes = Array.from({ length: LANES }, (_, lane) => failing.lane(`lane ${lane}`));
  const all = Promise.all(lanes);
  const killing = (async (): Promise<void> => {
    for (let done = 0; done < cycles; done++) await failing.kill();
  })();
  // A lane that fails ends the run at once.
  await Promise.race([killing, all]);
  failing.isOver = true;
  await all;
  same('lost workers', await metric(http, 'workers_lost_total'), failing.kills);
  same('failures told', failing.failed, await metric(http, 'requests_failed_total'));
  same('dead requests', await metric(http, 'titanic_dead_total'), 0);
  const attempts = await metric(http, 'titanic_attempts_failed_total');
  await failing.close();
  await daemon.stop();
  const { kills, plain, stored, failed } = failing;
  return (
    `${kills} workers killed: ${plain} plain requests, ${failed} of them told why they failed; ` +
    `${stored} stored ones, all answered, after ${attempts} attempts that failed`
  );
}
