/** Problems with requests, for the banner: dead ones, and ones that wait without a worker. */
import type { Overview, Service } from '../admin/api/node-answers.js';
import type { Page } from '../admin/api/words.js';
import { get } from './api.js';
import { count } from './format.js';
import type { Trouble } from './status-line.js';
import { isUnserved } from './unserved.js';
import { linkTo, repeatedly } from './view.js';

const EVERY_MS = 5000;
const ASKED = 1000;

export class RequestTroubles {
  /** Services with waiting requests and no worker, from the first page of them. */
  #unserved: readonly string[] = [];

  /** @param changed called when the problems changed */
  constructor(changed: () => void) {
    repeatedly(
      async () => {
        const before = this.#unserved.join();
        this.#unserved = await unservedServices();
        if (this.#unserved.join() !== before) changed();
      },
      () => EVERY_MS,
    );
  }

  of({ stored, ready }: Overview): Trouble[] {
    const found: Trouble[] = [];
    const [first] = this.#unserved;
    if (first !== undefined && ready) {
      const more = this.#unserved.length - 1;
      const services = more === 1 ? 'service also has' : 'services also have';
      const others =
        more === 0 ? '' : ` ${count(more)} other ${services} waiting requests and no worker.`;
      const text = `Requests are waiting for ${first}, which has no worker.${others}`;
      const link = linkTo('services', first);
      found.push({ grade: 'bad', title: 'No worker', text, link: [link, 'Show the service'] });
    }
    const dead = stored?.dead ?? 0;
    if (dead > 0) {
      const text =
        dead === 1
          ? 'One stored request failed for good and needs attention.'
          : `${count(dead)} stored requests failed for good and need attention.`;
      const link = linkTo('durable', undefined, { state: 'dead' });
      found.push({ grade: 'warn', title: 'Dead requests', text, link: [link, 'Show them'] });
    }
    return found;
  }
}

/** Empty while the node does not answer: the banner shows that anyway. */
async function unservedServices(): Promise<string[]> {
  try {
    const path = `/api/v1/services?state=unserved&limit=${ASKED}`;
    const { items } = await get<Page<Service>>(path);
    return items.filter(isUnserved).map(({ service }) => service);
  } catch {
    return [];
  }
}
