/** What `majordomo bench` sends again and again, over a number of connections. */
import { Client } from '../../../sdk/client.js';
import type { LoadPlan } from './messages.js';

const TIMEOUT_MS = 60_000;
const REMOVED_AT_ONCE = 256;

export interface Calls {
  /** Makes one call over each connection. If one fails, the whole run fails, with that reason. */
  begin(): Promise<void>;
  /** Resolves when it is answered. @param n its number: connections take turns */
  one(n: number): Promise<void>;
  /** Removes what the calls have left at the broker, and closes the connections. */
  end(): Promise<void>;
}

export class Requests implements Calls {
  readonly #clients: readonly Client[];
  readonly #service: string;
  readonly #body: Buffer;

  constructor(plan: LoadPlan) {
    this.#clients = clientsOf(plan);
    this.#service = plan.service;
    this.#body = bodyOf(plan);
  }

  async begin(): Promise<void> {
    await Promise.all(this.#clients.map((_, n) => this.one(n)));
  }

  async one(n: number): Promise<void> {
    await nth(this.#clients, n).request(this.#service, this.#body);
  }

  async end(): Promise<void> {
    await closed(this.#clients);
  }
}

export function clientsOf(plan: LoadPlan): readonly Client[] {
  const options = {
    endpoints: plan.endpoints,
    ...plan.keys,
    timeoutMs: TIMEOUT_MS,
    resendMs: TIMEOUT_MS,
  };
  return Array.from({ length: plan.connections }, () => new Client(options));
}

export function bodyOf({ size }: LoadPlan): Buffer {
  return Buffer.alloc(size, 'x');
}

/** Takes the items in turns; there is always one. */
export function nth<Item>(items: readonly Item[], n: number): Item {
  return items[n % items.length] as Item;
}

/** Takes away one after the other, some at a time, until none is left. */
export async function removed(removeNext: (n: number) => Promise<boolean>): Promise<void> {
  const all = async (_: unknown, n: number): Promise<void> => {
    while (await removeNext(n));
  };
  await Promise.all(Array.from({ length: REMOVED_AT_ONCE }, all));
}

export async function closed(
  connections: readonly { readonly close: () => Promise<void> }[],
): Promise<void> {
  await Promise.all(connections.map((each) => each.close()));
}
