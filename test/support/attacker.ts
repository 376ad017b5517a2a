/** An attack in a process of its own, from an address of its own. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

import type { AttackName } from './attacks.js';

/** Whoever behaves comes from another one. */
const ADDRESS = '127.0.0.2';
const DEADLINE_MS = 60_000;

export interface AttackerOptions {
  /** How many connections, or connections a second. */
  readonly count: number;
  /** The broker's public key, in hexadecimal, where the attack needs it. */
  readonly serverKey?: string;
}

export class Attacker {
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess) {
    this.#process = process;
  }

  /** Starts it; it does all that an attack needs before. */
  static async prepare(
    name: AttackName,
    endpoint: string,
    { count, serverKey = '' }: AttackerOptions,
  ): Promise<Attacker> {
    const program = new URL('./attacking.js', import.meta.url);
    const attacker = new Attacker(
      fork(program, [name, endpoint, ADDRESS, String(count), serverKey], { execArgv: [] }),
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

  /** @returns how many messages, or connections, it sent */
  async end(): Promise<number> {
    if (!this.#process.connected) return 0;
    const exited = once(this.#process, 'exit');
    this.#process.send('end');
    const told = await this.#told();
    await exited;
    return typeof told === 'object' && told !== null && 'sent' in told ? Number(told.sent) : 0;
  }

  /** Wherever it is. */
  kill(): void {
    this.#process.kill('SIGKILL');
  }

  async #told(): Promise<unknown> {
    const stopped = new AbortController();
    const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(DEADLINE_MS)]);
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
