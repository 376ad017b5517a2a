/** An attack in its own process, from its own address. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

import type { AttackName } from './attacks.js';
import { PATIENCE_MS } from './patience.js';

/** Well-behaved peers use another address. */
const ADDRESS = '127.0.0.2';

export interface AttackerOptions {
  /** How many connections, or connections per second. */
  readonly count: number;
  /** The broker's public key, in hexadecimal, if the attack needs it. */
  readonly serverKey?: string;
  /** The broker's endpoint, if the target is another. */
  readonly endpoint?: string;
}

export class Attacker {
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess) {
    this.#process = process;
  }

  /** Starts the process and prepares the attack. */
  static async prepare(
    name: AttackName,
    target: string,
    { count, serverKey = '', endpoint = '' }: AttackerOptions,
  ): Promise<Attacker> {
    const program = new URL('./attacking.js', import.meta.url);
    const attacker = new Attacker(
      fork(program, [name, target, ADDRESS, String(count), serverKey, endpoint], {
        execArgv: [],
      }),
    );
    await attacker.#told().catch((error: unknown) => {
      attacker.kill();
      throw error;
    });
    return attacker;
  }

  /** Resolves when all its connections have begun. */
  async begin(): Promise<void> {
    this.#process.send('begin');
    await this.#told();
  }

  /** @returns how many messages or connections it sent */
  async end(): Promise<number> {
    if (!this.#process.connected) return 0;
    const exited = once(this.#process, 'exit');
    this.#process.send('end');
    const told = await this.#told();
    await exited;
    return typeof told === 'object' && told !== null && 'sent' in told ? Number(told.sent) : 0;
  }

  /** Ends it at any stage. */
  kill(): void {
    this.#process.kill('SIGKILL');
  }

  async #told(): Promise<unknown> {
    const stopped = new AbortController();
    const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(PATIENCE_MS)]);
    try {
      const [told] = (await Promise.race([
        once(this.#process, 'message', { signal }),
        once(this.#process, 'exit', { signal }).then(() => {
          throw new Error('the attacker ended');
        }),
      ])) as unknown[];
      return told;
    } finally {
      stopped.abort();
    }
  }
}
