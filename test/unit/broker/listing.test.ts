import { RequestCounters } from '../../../src/broker/request-counters.js';
import { Listing, type Position, START } from '../../../src/broker/listing.js';
import { Clients } from '../../../src/broker/state/clients.js';
import { InternalServices } from '../../../src/broker/state/internal-services.js';
import { RequestTable } from '../../../src/broker/state/request-table.js';
import { Sessions } from '../../../src/broker/state/sessions.js';
import { Gates } from '../../../src/broker/state/gates.js';
import { ServiceTable } from '../../../src/broker/state/service-table.js';
import { Workers } from '../../../src/broker/state/workers.js';
import { Grants, Peer, type Service, Worker } from '../../../src/broker/state/entities.js';

import { Identities, Identity } from '../../../src/broker/state/identities.js';
import { NO_QUOTAS } from '../../../src/broker/quotas.js';
import { EVERYTHING } from '../../../src/broker/rights.js';
import { Holdings } from '../../../src/core/holdings.js';
import { seededRandom } from '../../support/stage-random.js';

const ALL = (): boolean => true;

const somebody = new Identity('ipc', null, new Holdings().use('ipc'), null);

const READY = {
  dialect: 2,
  credit: 1,
  declaresCredit: false,
  workerName: null,
  wantsHeaders: false,
  wantsCancel: false,
  wantsGroup: false,
} as const;

describe('pages of what is registered', () => {
  let table: RequestTable;
  let services: ServiceTable;
  let listing: Listing;
  let workers = 0;

  beforeEach(() => {
    table = new RequestTable();
    const identities = new Identities(new Holdings(), () => NO_QUOTAS);
    services = new ServiceTable(
      table,
      seededRandom(1),
      new RequestCounters().services,
      identities,
      new Gates(0, new Holdings().use('x')),
    );
    const silence = { heartbeatIntervalMs: 1000, heartbeatLiveness: 3 };
    listing = new Listing({
      table,
      clients: new Clients(table),
      sessions: new Sessions(0),
      services,
      identities,
      workers: new Workers(silence, services),
      internals: new InternalServices(),
    });
    workers = 0;
  });

  function serve(service: Service, count: number): void {
    for (let n = 0; n < count; n++) {
      const peer = new Peer(++workers, 0, null, somebody, 'ipc', new Grants(EVERYTHING, null));
      service.workers.add(new Worker(peer, service, workers, READY, table, 0));
    }
  }

  function add(name: string): Service {
    return services.add(Buffer.from(name), somebody);
  }

  /** Follows `next` to the end; gives the pages. */
  function pages<Item>(
    page: (from: Position) => { items: readonly Item[]; next: Position | null },
  ): (readonly Item[])[] {
    const found: (readonly Item[])[] = [];
    for (let from: Position | null = START; from !== null;) {
      const { items, next }: { items: readonly Item[]; next: Position | null } = page(from);
      found.push(items);
      from = next;
    }
    return found;
  }

  it('have every worker once, also when a page ends in the middle of a service', () => {
    for (const count of [7, 0, 3, 12]) serve(add(`s${count}`), count);
    const found = pages((from) => listing.workerPage(from, 5, null, ALL, 0));
    expect(found.map(({ length }) => length)).toEqual([5, 5, 5, 5, 2]);
    const counts = new Map<string, number>();
    for (const { service } of found.flat()) counts.set(service, (counts.get(service) ?? 0) + 1);
    expect(counts).toEqual(
      new Map([
        ['s7', 7],
        ['s3', 3],
        ['s12', 12],
      ]),
    );
  });

  it('tell no worker twice, and miss none that stays, while others leave', () => {
    const service = add('s');
    serve(service, 10);
    const [first, second] = [...service.workers];
    const page = listing.workerPage(START, 4, null, ALL, 0);
    for (const worker of [first, second]) if (worker) service.workers.delete(worker);
    const rest = listing.workerPage(page.next ?? START, 100, null, ALL, 0);
    expect(page.items.length + rest.items.length).toBe(10);
    expect(rest.next).toBeNull();
  });

  it('go on behind a service that is gone', () => {
    const all = ['a', 'b', 'c'].map(add);
    const { next } = listing.servicePage(START, 1, null, ALL, 0);
    const [, gone] = all;
    if (gone) services.releaseIfUnused(gone);
    services.forget(0);
    services.forget(600_000);
    const rest = listing.servicePage(next ?? START, 10, null, ALL, 0);
    expect(rest.items.map(({ service }) => service)).toEqual(['c']);
  });

  it('look at 10,000 at most, however few of them are wanted', () => {
    for (let n = 0; n < 25_000; n++) add(`s${n}`);
    serve(add('crowded'), 25_000);
    for (const list of ['services', 'workers'] as const) {
      const wanted: number[] = [];
      let page = 0;
      const isWanted = (): boolean => {
        wanted[page] = (wanted[page] ?? 0) + 1;
        return false;
      };
      const found = pages<unknown>((from) => {
        page++;
        return list === 'services'
          ? listing.servicePage(from, 10, null, isWanted, 0)
          : listing.workerPage(from, 10, null, isWanted, 0);
      });
      expect(found.flat()).toEqual([]);
      expect(Math.max(...wanted.filter(Boolean))).toBeLessThanOrEqual(10_000);
      expect(wanted.reduce((sum, count) => sum + count, 0)).toBe(
        list === 'services' ? 25_001 : 25_000,
      );
    }
  });
});
