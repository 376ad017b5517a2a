/** The thread of a store without a thread: both ends of its messages, and its clock. */
import { MajordomoError, codeOf, messageOf } from '../../../src/core/errors.js';
import type { Clock } from '../../../src/extensions/postgres/clock.js';
import type { OpenPostgres, StoreReport } from '../../../src/extensions/postgres/postgres-store.js';
import { StoreConnections } from '../../../src/extensions/postgres/store-connections.js';
import { type OrdersPort, StoreOrders } from '../../../src/extensions/postgres/store-orders.js';
import type { StoreThread } from '../../../src/store/thread/thread-store.js';
import { type Link, simDial, type TablesHost } from './sim-tables.js';

type Handler = (message: unknown) => void;

export interface ThreadHost extends TablesHost {
  /** A message to the thread of the machines: they come in their order. */
  tell(message: () => void): void;
}

export class SimThread {
  readonly #host: ThreadHost;
  /** Who takes what comes from the other end. */
  #machines: Handler = () => undefined;
  #orders: Handler = () => undefined;

  constructor(open: OpenPostgres, link: Link, host: ThreadHost) {
    this.#host = host;
    void this.#begin(open, link);
  }

  /** The end of the machines. */
  readonly thread: StoreThread<StoreReport>['thread'] = {
    on: (event: string, handler: (...args: never[]) => void) => {
      if (event === 'message') this.#machines = handler as Handler;
      return this.thread as never;
    },
    postMessage: (message: unknown) => this.#host.later(0, () => this.#orders(message)),
    terminate: async () => await Promise.resolve(0),
  };

  /** The end of the store. */
  readonly #port: OrdersPort = {
    on: (_event: string, handler: (...args: never[]) => void) => {
      this.#orders = handler as Handler;
      return this.#port as never;
    },
    postMessage: (message: unknown) => this.#host.tell(() => this.#machines(message)),
    close: () => undefined,
  };

  async #begin(open: OpenPostgres, link: Link): Promise<void> {
    const host = this.#host;
    const clock: Clock = {
      now: () => host.clock.now,
      later: (ms, action) => {
        const timer = { isOn: true };
        host.later(ms, () => {
          if (timer.isOn) action();
        });
        return timer;
      },
      cancel: (timer) => {
        (timer as { isOn: boolean }).isOn = false;
      },
    };
    const random = (): number => host.random.word() / 0x1_0000_0000;
    const server = { clock, random, dial: simDial(link, host, clock) };
    const report = (news: StoreReport): void => this.#port.postMessage(news);
    try {
      const store = await StoreConnections.begin(open, server, report);
      new StoreOrders(open, clock, this.#port, store);
    } catch (error) {
      const code = codeOf(error) ?? '';
      const failure = new MajordomoError(code, messageOf(error));
      this.#port.postMessage({ code, message: failure.message, details: {} });
    }
  }
}
