import { ask } from '../support/http.js';
import { itWithTool } from '../support/tools.js';
import { cleanUp, closeBrowser, look, openBrowser, Stand } from './support.js';

beforeAll(openBrowser);
afterEach(cleanUp);
afterAll(closeBrowser);

describe('problems on the page (issue 82.4)', () => {
  itWithTool(
    'chromium',
    'of the node come first, and each count names what it counts',
    async () => {
      const stand = await Stand.open();
      for (const service of ['one', 'two', 'three']) await stand.client.submit(service, 'x');
      const seen = await look(stand);
      await seen.page.route('**/api/v1/overview?*', async (route) => {
        const response = await route.fetch();
        const now = (await response.json()) as object;
        const degraded = [{ code: 'store_set_aside', text: 'one row was set aside' }];
        await route.fulfill({ response, json: { ...now, degraded } });
      });
      const banner = seen.page.locator('#banner .trouble');
      await seen.sees(banner.nth(1).filter({ hasText: 'which has no worker' }));
      await seen.reads(banner.locator('> strong'), ['Rows set aside', 'No worker']);
      const others = banner.locator('details');
      await others.getByText('2 other services also have waiting requests and no worker.').click();
      await seen.sees(others.getByRole('link', { name: 'two' }));
      await others.getByRole('link', { name: 'three' }).click();
      await seen.sees(seen.page.getByRole('heading', { name: 'three' }));
      // A dismissed problem does not hide one of the same kind that begins later.
      await seen.button('Dismiss: No worker').click();
      await seen.gone(banner.nth(1));
      await stand.client.submit('four', 'x');
      await seen.sees(banner.nth(1).filter({ hasText: 'Requests are waiting for four' }));
      await seen.page.reload();
      await seen.sees(banner.nth(1).filter({ hasText: 'Requests are waiting for four' }));
      expect(await others.count()).toBe(0);
      await seen.page.unrouteAll({ behavior: 'wait' });
    },
  );

  itWithTool('chromium', 'count what waits, and tell it from what is to run later', async () => {
    const stand = await Stand.open();
    for (let n = 0; n < 4; n++) await stand.client.submit('work', 'hello, world!');
    for (let n = 0; n < 3; n++) await stand.client.submit('work', 'x', { delayMs: 3_600_000 });
    const seen = await look(stand, '#/services');
    await seen.readsCell('work', 'Queued', '4');
    await seen.readsCell('work', 'Pending', '7');
    await seen.enters(stand.token);
    await ask(`${stand.url}/api/v1/services/work/pause`, {
      method: 'POST',
      token: stand.token,
      headers: { 'content-type': 'application/json' },
      body: '{}',
    });
    await seen.seesText('An operator paused');
    await seen.sees(
      seen.page.locator('#banner', { hasText: '4 requests waiting, 3 to run later' }),
    );
    await seen.goes('#/services/work');
    await seen.sees(
      seen.page.locator('.state', { hasText: 'Paused: 4 requests waiting, 3 to run later' }),
    );
    await seen.sees(seen.page.locator('.figure', { hasText: /^4\s*Queued/ }));
    await seen.goes('#/durable');
    await seen.counts(seen.page.locator('.phase', { hasText: 'delayed' }), 3);
    await seen.counts(seen.page.locator('.phase', { hasText: 'waiting' }), 4);
    await seen.page.getByLabel('State').selectOption('delayed');
    await seen.counts(seen.page.locator('.phase'), 3);
    await seen.page.locator('tr', { hasText: 'delayed' }).first().getByRole('link').first().click();
    await seen.button('Run now').click();
    await seen.seesText('The request is due now.');
    await seen.sees(seen.page.getByText('to run now, by http.token'));
    await seen.goes('#/durable?state=delayed');
    await seen.counts(seen.page.locator('.phase'), 2);
    await seen.page.getByLabel('State').selectOption('waiting');
    await seen.counts(seen.page.locator('.phase'), 5);
    await seen.page.locator('tr', { hasText: 'waiting' }).first().getByRole('link').first().click();
    await seen.sees(seen.page.getByText('on disk, frames with their lengths'));
  });

  itWithTool(
    'chromium',
    'of a service are the same in the banner and in its sentence',
    async () => {
      const stand = await Stand.open();
      await stand.works('work', () => {
        throw new Error('no paper');
      });
      await stand.submitsDead('work', 4);
      const seen = await look(stand, '#/services/work');
      // The last minute has no request any more: to wait for that would take so long.
      await seen.page.route('**/api/v1/services/history?*', async (route) => {
        const response = await route.fetch();
        const history = (await response.json()) as object;
        const columns = ['at', 'failedAttempts'];
        const samples = [1, 0, 0, 0.5].map((failed, n) => [1e12 + n * 4000, failed]);
        for (let n = 4; n < 40; n++) samples.push([1e12 + n * 4000, 0]);
        await route.fulfill({ response, json: { ...history, columns, samples, next: 40 } });
      });
      await seen.page.reload();
      await seen.sees(
        seen.page.locator('.state.bad', { hasText: 'Failing always: all 6 requests' }),
      );
      await seen.page.unrouteAll({ behavior: 'wait' });
    },
  );
});
