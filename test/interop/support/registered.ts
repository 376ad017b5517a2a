/** Workers that are programs, at a broker that serves one case after the other: there is who is registered. */
import type { Daemon } from '../../support/daemon.js';
import { killPrograms, type Program } from './program.js';
import { RawPeer } from './raw-peer.js';

export class Registered {
  readonly #daemon: Daemon;
  #count = 0;

  constructor(daemon: Daemon) {
    this.#daemon = daemon;
  }

  /** Waits until a worker that was just started is registered. */
  async comes(worker: Program): Promise<Program> {
    this.#count++;
    await this.#until((registered) => registered >= this.#count);
    return worker;
  }

  /** Has it leave, and waits until it is not registered any more. */
  async leaves(worker: Program): Promise<void> {
    worker.tell('leave');
    await worker.waitFor('left');
    this.#count--;
    await this.#until((registered) => registered <= this.#count);
  }

  /** For `afterEach`: no program is left, and no worker. */
  async none(): Promise<void> {
    await killPrograms();
    this.#count = 0;
    await this.#until((registered) => registered === 0);
  }

  async #until(holds: (registered: number) => boolean): Promise<void> {
    const watcher = new RawPeer(this.#daemon.endpoint);
    await watcher.untilMmi<readonly unknown[]>('mmi.workers', ({ length }) => holds(length));
    watcher.close();
  }
}
