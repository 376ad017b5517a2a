import type { Locator } from 'playwright-core';

import { rawWorker } from '../process/broker/support.js';
import { itWithTool } from '../support/tools.js';
import { cleanUp, closeBrowser, type Look, look, openBrowser, Stand } from './support.js';

beforeAll(openBrowser);
afterEach(cleanUp);
afterAll(closeBrowser);

/** The row of an event of a service. */
function event(seen: Look, name: string, service: string): Locator {
  return seen.page
    .locator('.event')
    .filter({ has: seen.page.getByText(name, { exact: true }) })
    .filter({ hasText: `service ${service}` });
}

/** Connects and disconnects a worker this many times. */
async function comesAndGoes(stand: Stand, service: string, times: number): Promise<void> {
  for (let time = 0; time < times; time++) {
    const before = stand.daemon.logged('worker.registered').length;
    const worker = await rawWorker(stand.daemon.endpoint, service);
    await stand.daemon.waitFor('worker.registered', before + 1);
    worker.close();
  }
}

describe('events on the page (issue 12.6)', () => {
  itWithTool(
    'chromium',
    'include those before it was opened, grouped by name and service',
    async () => {
      const stand = await Stand.open();
      await comesAndGoes(stand, 'flappy', 3);
      await stand.works('steady');
      const seen = await look(stand, '#/events');
      const flappy = event(seen, 'worker.registered', 'flappy');
      await seen.sees(flappy.getByText('×3', { exact: true }));
      await seen.counts(flappy, 1);
      await seen.sees(event(seen, 'worker.registered', 'steady'));
      const [{ id } = {}] = stand.daemon.logged('store.known');
      await seen.seesText(`id ${String(id)}`);
      expect(await event(seen, 'worker.registered', 'steady').locator('.times').textContent()).toBe(
        '',
      );
      // Earlier events can be opened, and stay open when the next one arrives.
      await flappy.locator('summary').click();
      await seen.counts(flappy.locator('li'), 2);
      await comesAndGoes(stand, 'flappy', 1);
      await seen.sees(flappy.getByText('×4', { exact: true }));
      await seen.counts(flappy.locator('li'), 3);
      await seen.goes('#/overview');
      await seen.sees(flappy.getByText('×4', { exact: true }));
    },
  );

  itWithTool(
    'chromium',
    'are filtered by severity, service and text, which the address keeps',
    async () => {
      const stand = await Stand.open();
      await stand.works('good');
      await stand.works('poor', () => {
        throw new Error('no paper');
      });
      await stand.submitsDead('poor', 1);
      const seen = await look(stand, '#/events');
      const died = event(seen, 'titanic.died', 'poor');
      const good = event(seen, 'worker.registered', 'good');
      const poor = event(seen, 'worker.registered', 'poor');
      await seen.sees(died);
      await seen.sees(good);
      await seen.page.getByLabel('Severity').selectOption('warn');
      await seen.gone(good);
      await seen.sees(died);
      await seen.page.reload();
      await seen.sees(died);
      expect(await good.count()).toBe(0);
      await seen.page.getByLabel('Severity').selectOption('error');
      await seen.gone(died);
      await seen.page.getByLabel('Severity').selectOption('');
      await seen.page.getByLabel('Service', { exact: true }).selectOption('poor');
      await seen.sees(poor);
      await seen.gone(good);
      await seen.page.getByRole('searchbox').fill('DIED');
      await seen.gone(poor);
      await seen.sees(died);
      expect(seen.page.url()).toContain('service=poor');
    },
  );

  itWithTool(
    'chromium',
    'have all fields once the token is entered, and appear only once after a reconnect',
    async () => {
      const stand = await Stand.open();
      await comesAndGoes(stand, 'echo', 1);
      await stand.daemon.waitFor('worker.lost');
      const seen = await look(stand, '#/events');
      const lost = event(seen, 'worker.lost', 'echo');
      await seen.sees(lost);
      expect(await lost.textContent()).not.toContain('address');
      await seen.enters(stand.token);
      await seen.sees(lost.filter({ hasText: 'address 127.0.0.1' }));
      // The store emitted the other two at the start.
      await seen.counts(seen.page.locator('.event'), 4);
      // A page that was hidden keeps its events and gets the missed ones.
      await seen.page.evaluate(`
      Object.defineProperty(document, 'hidden', { value: true, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));`);
      await seen.seesText(/not connected/);
      await stand.works('late');
      await seen.page.evaluate(`
      Object.defineProperty(document, 'hidden', { value: false, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));`);
      await seen.sees(event(seen, 'worker.registered', 'late'));
      await seen.counts(seen.page.locator('.event'), 5);
      expect((await seen.page.locator('.times').allTextContents()).join('')).toBe('');
    },
  );

  itWithTool('chromium', 'link to services and requests, also the earlier ones', async () => {
    const stand = await Stand.open();
    await stand.works('خدمة', () => {
      throw new Error('no paper');
    });
    const [uuid = ''] = await stand.submitsDead('خدمة', 2);
    const seen = await look(stand, '#/events');
    await seen.enters(stand.token);
    // The list begins anew with the token; only then has it the reason.
    const died = event(seen, 'titanic.died', 'خدمة').filter({ hasText: 'no paper' });
    await died.locator('summary').click();
    const earlier = died.locator('li');
    await seen.sees(earlier.filter({ hasText: 'service خدمة' }));
    await seen.page.getByRole('searchbox').fill('خدمة');
    await seen.sees(died);
    await earlier.getByRole('link', { name: 'خدمة' }).click();
    await seen.sees(seen.page.getByRole('heading', { name: 'خدمة' }));
    // Who acted on a request is an event with the beginning of its uuid.
    await seen.goes(`#/durable/${uuid}`);
    await seen.button('Retry').click();
    await seen.goes('#/events?text=operator');
    await seen.page.getByRole('link', { name: uuid.slice(0, 16) }).click();
    await seen.counts(seen.page.locator('main .uuid a'), 1);
    await seen.sees(seen.page.getByRole('link', { name: uuid }));
  });

  itWithTool('chromium', 'show texts of peers in one harmless line', async () => {
    const stand = await Stand.open();
    await stand.works('echo');
    const hostile = '<img src=x onerror=alert(1)>\u001b[31mred\u202eder\nevent: fake\n\ndata: {}';
    const data = { time: new Date().toISOString(), event: 'titanic.died', severity: 'warn' };
    const body = `id: a.1\nevent: titanic.died\ndata: ${JSON.stringify({ ...data, service: 'x', reason: hostile })}\n\n`;
    const seen = await look(stand);
    await seen.page.route('**/api/v1/events', (route) =>
      route.fulfill({ status: 200, contentType: 'text/event-stream', body }),
    );
    await seen.goes('#/events');
    await seen.page.reload();
    const died = event(seen, 'titanic.died', 'x');
    await seen.sees(died);
    const fields = (await died.locator('.event-fields').textContent()) ?? '';
    expect(fields).toContain('<img src=x onerror=alert(1)>\uFFFD[31mred\uFFFDder\uFFFDevent: fake');
    expect(await seen.page.locator('main img').count()).toBe(0);
    await seen.page.unrouteAll({ behavior: 'wait' });
  });
});
