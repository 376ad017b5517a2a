import { ask } from '../support/http.js';
import { itWithTool } from '../support/tools.js';
import { cleanUp, closeBrowser, type Look, look, openBrowser, Stand } from './support.js';

beforeAll(openBrowser);
afterEach(cleanUp);
afterAll(closeBrowser);

const DEAD = 5000;
const AT_ONCE = 250;

/** Requests whose only attempt fails, many at once. */
async function manyDead(stand: Stand, service: string, count: number): Promise<void> {
  for (let done = 0; done < count; done += AT_ONCE) {
    await Promise.all(
      Array.from({ length: AT_ONCE }, () => stand.client.submit(service, 'x', { maxAttempts: 1 })),
    );
  }
}

/** The names of the first rows of a table. */
async function firstRows(seen: Look, table: string, count: number): Promise<readonly string[]> {
  const names = seen.page.getByRole('table', { name: table }).locator('tbody .name');
  return (await names.allTextContents()).slice(0, count);
}

describe('failures on the page (issue 37)', () => {
  itWithTool('chromium', 'are first among 300 services, on both lists', async () => {
    const stand = await Stand.open();
    const names = Array.from(
      { length: 299 },
      (_, index) => `service.${String(index).padStart(3, '0')}`,
    );
    await Promise.all(names.map((name) => stand.client.submit(name, 'x')));
    await stand.works('zzz.failing', () => {
      throw new Error('no paper');
    });
    await stand.works('busy');
    const seen = await look(stand);
    const over = new AbortController();
    const load = (async (): Promise<void> => {
      while (!over.signal.aborted) {
        await stand.client.request('zzz.failing', 'x').catch(() => null);
        await Promise.all(Array.from({ length: 5 }, () => stand.client.request('busy', 'x')));
      }
    })();
    try {
      const overview = 'Services, those that fail first';
      const first = seen.page.getByRole('table', { name: overview }).locator('tbody .name').first();
      await seen.sees(first.filter({ hasText: 'zzz.failing' }));
      await seen.readsCell('zzz.failing', 'Failed', '100 %');
      await seen.sees(seen.row('zzz.failing').locator('td.bad', { hasText: '/s' }));
      await seen.goes('#/services');
      const table = seen.page.getByRole('table', { name: 'Services' });
      await seen.sees(table.locator('tbody .name').first().filter({ hasText: 'zzz.failing' }));
      // Then those without a worker; the busy one, which needs nobody, is on the last page.
      expect(await firstRows(seen, 'Services', 2)).toEqual(['zzz.failing', 'service.000']);
      await seen.seesText('1–50 of 301');
      await seen.link('zzz.failing').click();
      await seen.sees(seen.page.locator('.state.bad', { hasText: 'Failing: 100 % of the last' }));
    } finally {
      over.abort();
      await load;
    }
  });

  itWithTool(
    'chromium',
    'come before requests that wait for long, and these before the rest',
    async () => {
      const stand = await Stand.open();
      for (const service of ['fast', 'slow', 'stuck']) await stand.works(service);
      const seen = await look(stand);
      await seen.page.route('**/api/v1/services?*', async (route) => {
        const response = await route.fetch();
        const { items, next } = (await response.json()) as {
          readonly items: readonly { readonly service: string }[];
          readonly next: string | null;
        };
        // To wait for so long would take so long.
        const ages: Readonly<Record<string, number>> = { fast: 900, slow: 12_000, stuck: 45_000 };
        const changed = items.map((item) => ({ ...item, oldestQueuedMs: ages[item.service] }));
        await route.fulfill({ response, json: { items: changed, next } });
      });
      await seen.page.reload();
      const names = seen.page.locator('tbody .name');
      await seen.reads(names, ['stuck', 'slow', 'fast']);
      await seen.readsCell('slow', 'Oldest waiting', '12 s');
      await seen.page.unrouteAll({ behavior: 'wait' });
    },
  );

  itWithTool('chromium', 'are counted one by one, however many there are', async () => {
    const stand = await Stand.open();
    await stand.works('pay', () => {
      throw new Error('no paper');
    });
    await manyDead(stand, 'pay', DEAD);
    const seen = await look(stand, '#/services/pay');
    await seen.sees(
      seen.page.locator('.state', {
        hasText: 'Failing: 100 % of the last minute’s requests failed; 5,000 dead; 1 worker.',
      }),
    );
    await seen.enters(stand.token);
    await seen.readsCell('Error', 'Failures', '5,000');
    await seen.readsCell('Error', 'Last reason', 'no paper');
    // What fails, and why, is above the charts.
    const top = async (text: string): Promise<number> =>
      (await seen.page.getByRole('heading', { name: text, exact: true }).boundingBox())?.y ?? NaN;
    await seen.sees(seen.page.locator('.chart'));
    const chart = (await seen.page.locator('.chart').first().boundingBox())?.y ?? NaN;
    expect(await top('Failures')).toBeLessThan(await top('Dead requests'));
    expect(await top('Dead requests')).toBeLessThan(chart);
    expect(await top('Failures')).toBeLessThan(500);
    await seen.goes('#/durable?state=dead');
    const listed = seen.page.getByRole('table', { name: 'Durable requests' });
    await seen.counts(listed.locator('tbody tr'), 50);
    // All have one reason.
    const reasons = seen.page.getByRole('table', { name: 'Reasons' });
    await seen.counts(reasons.locator('tbody tr'), 1);
    await seen.sees(seen.page.locator('#banner', { hasText: '5,000 durable requests failed' }));
  });

  itWithTool(
    'chromium',
    'of a request are in their order, also after an operator’s retry',
    async () => {
      const stand = await Stand.open();
      await stand.works('work', () => {
        throw new Error('no paper');
      });
      const [uuid = ''] = await stand.submitsDead('work', 1);
      const seen = await look(stand, `#/durable/${uuid}`);
      await seen.sees(seen.page.getByText('Dead', { exact: true }));
      await seen.enters(stand.token);
      await seen.button('Retry').click();
      const titles = seen.page.locator('.timeline strong');
      await seen.counts(titles, 5);
      const read = async (): Promise<readonly string[]> =>
        (await titles.allTextContents()).map((title) =>
          title.replace(/worker \d+ \S+/, 'worker N NAME'),
        );
      expect(await read()).toEqual([
        'Accepted',
        'Delivered to worker N NAME at 127.0.0.1',
        'retried by http.token; it was dead: Error: no paper',
        'Delivered to worker N NAME at 127.0.0.1',
        'Dead',
      ]);
    },
  );

  itWithTool(
    'chromium',
    'are said in a banner that can be dismissed, until there are new ones',
    async () => {
      const stand = await Stand.open();
      await stand.works('work', () => {
        throw new Error('no paper');
      });
      await stand.submitsDead('work', 1);
      const seen = await look(stand);
      const banner = seen.page.locator('#banner');
      await seen.sees(banner.filter({ hasText: 'One durable request failed' }));
      await seen.button('Dismiss: Dead requests').click();
      await seen.gone(banner);
      await stand.client.submit('nobody', 'x');
      await seen.sees(banner.filter({ hasText: 'nobody, which has no worker.' }));
      expect(await banner.textContent()).not.toContain('failed for good');
    },
  );

  itWithTool(
    'chromium',
    'of a service that fails always are in a banner, until it answers',
    async () => {
      const stand = await Stand.open();
      let isBroken = true;
      await stand.works('always', ({ frames }) => {
        if (isBroken) throw new Error('no paper');
        return frames;
      });
      await stand.works('mostly', ({ frames: [body] }) => {
        if (body?.toString() === 'bad') throw new Error('no ink');
        return 'printed';
      });
      const requests = (service: string, body: string): Promise<unknown> =>
        stand.client.request(service, body).catch(() => null);
      const seen = await look(stand, '#/map');
      const banner = seen.page.locator('#banner');
      const over = new AbortController();
      const load = (async (): Promise<void> => {
        while (!over.signal.aborted) {
          await requests('always', 'x');
          await requests('mostly', 'bad');
          await requests('mostly', 'good');
        }
      })();
      try {
        await seen.sees(
          banner.filter({
            hasText: /Every request for always has failed since .*: [\d,]+ of them/,
          }),
        );
        await seen.sees(banner.locator('a[href="#/services/always"]'));
        expect(await banner.textContent()).not.toContain('other service');
        isBroken = false;
        await seen.gone(banner);
      } finally {
        over.abort();
        await load;
      }
    },
  );

  itWithTool('chromium', 'to keep up with a queue are in a banner', async () => {
    const stand = await Stand.open();
    let finish = (): void => undefined;
    const finished = new Promise<void>((resolve) => (finish = resolve));
    await stand.works('slow', async ({ frames }) => {
      await finished;
      return frames;
    });
    const replies = Promise.all(
      Array.from({ length: 31 }, () => stand.client.request('slow', 'x')),
    );
    const seen = await look(stand);
    // To grow for so long would take so long.
    await seen.page.route('**/api/v1/services/history?*', async (route) => {
      const response = await route.fetch();
      const history = (await response.json()) as object;
      const columns = ['at', 'queued', 'open'];
      const samples = [0, 1, 2, 3, 4, 5, 6].map((n) => [1e12 + n * 4000, n * 5, 0]);
      await route.fulfill({ response, json: { ...history, columns, samples, next: 7 } });
    });
    const banner = seen.page.locator('#banner');
    await seen.sees(
      banner.filter({
        hasText: '30 requests for slow are not answered yet, 30 more than 24 s ago.',
      }),
    );
    // The one worker is at work: its number says why it is red.
    await seen.page.route('**/api/v1/services?*', async (route) => {
      const response = await route.fetch();
      const page = (await response.json()) as { readonly items: readonly object[] };
      const items = page.items.map((item) => ({ ...item, oldestQueuedMs: 12_000 }));
      await route.fulfill({ response, json: { ...page, items } });
    });
    await seen.readsCell('slow', 'Workers', '1 all busy');
    await seen.page.unrouteAll({ behavior: 'wait' });
    finish();
    await replies;
    await seen.gone(banner);
  });

  itWithTool('chromium', 'that a pause would hide are in a banner', async () => {
    const stand = await Stand.open();
    const { token } = stand;
    const headers = { 'content-type': 'application/json' };
    const post = async (path: string): Promise<void> => {
      const order = { method: 'POST', token, headers, body: '{}' };
      expect((await ask(`${stand.url}/api/v1/${path}`, order)).status).toBe(200);
    };
    await stand.works('held');
    await post('services/held/pause');
    await post('services/held%20too/pause');
    await stand.client.submit('held', 'x');
    await stand.client.schedule('leap day', 'yearly', 'x', { cron: '0 0 29 2 *' });
    const { json } = await ask(`${stand.url}/api/v1/titanic/schedules`, { token });
    const [schedule] = (json as { readonly items: readonly { readonly uuid: string }[] }).items;
    const uuid = schedule?.uuid ?? '';
    await post(`titanic/schedules/${uuid}/pause`);
    const seen = await look(stand, '#/events');
    const banner = seen.page.locator('#banner');
    await seen.sees(
      banner.filter({
        hasText: 'An operator paused held: 1 request waiting. 1 other service is also paused.',
      }),
    );
    await seen.sees(
      banner.filter({
        hasText: 'A schedule for yearly is paused: nothing is stored when it is due.',
      }),
    );
    await seen.enters(token);
    await seen.sees(
      banner.filter({ hasText: 'A schedule for yearly is paused (leap day): nothing' }),
    );
    await seen.button('Dismiss: Paused').click();
    await seen.gone(banner.getByText('An operator paused'));
    await post(`titanic/schedules/${uuid}/resume`);
    await seen.gone(banner);
  });
});
