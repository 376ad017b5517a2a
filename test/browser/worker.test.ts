import { itWithTool } from '../support/tools.js';
import { cleanUp, closeBrowser, look, openBrowser, Stand } from './support.js';

beforeAll(openBrowser);
afterEach(cleanUp);
afterAll(closeBrowser);

describe('the page of a worker (issue 82.8)', () => {
  itWithTool(
    'chromium',
    'says what it holds since when, its failures and its services',
    async () => {
      const stand = await Stand.open();
      let isBroken = true;
      const handler = (): Promise<never> => {
        if (isBroken) throw new Error('no paper');
        return new Promise(() => undefined);
      };
      await stand.works('print', handler, 'printer');
      await stand.works('scan', undefined, 'printer');
      await stand.submitsDead('print', 2);
      isBroken = false;
      await stand.client.submit('print', 'x');
      const seen = await look(stand, '#/durable?state=dispatched');
      const held = seen.page.locator('.phase', { hasText: /^ at printer for \d+ s$/ });
      await seen.sees(held);
      await held.getByRole('link', { name: 'printer' }).click();
      await seen.sees(seen.page.getByRole('heading', { name: 'Worker printer' }));
      await seen.seesText(/^2, the last at/);
      await seen.counts(seen.page.getByRole('table', { name: 'Held' }).locator('tbody tr'), 1);
      const others = seen.page.getByRole('table', { name: 'Other services' });
      await seen.sees(others.getByRole('link', { name: 'scan' }));
      expect(await seen.axe()).toEqual([]);
      await seen.goes('#/services/print');
      const byWorker = seen.page.getByRole('table', { name: 'Failures by worker' });
      await seen.reads(byWorker.locator('tbody td').first(), ['2']);
      await byWorker.getByRole('link', { name: 'printer' }).click();
      await seen.sees(seen.page.getByRole('heading', { name: 'Worker printer' }));
      await stand.works('keep', () => new Promise(() => undefined), 'keeper');
      // A client that waits leads to the worker that has its request, and that back to it.
      const asked = stand.client.request('keep', 'x').catch(() => undefined);
      await seen.goes('#/clients');
      await seen.enters(stand.token);
      await seen.page
        .getByRole('row', { name: '127.0.0.1' })
        .getByRole('link', { name: 'keeper' })
        .click();
      await seen.sees(seen.page.getByRole('heading', { name: 'Worker keeper' }));
      await seen.page.getByRole('link', { name: '127.0.0.1' }).click();
      await seen.sees(seen.page.getByRole('heading', { name: 'Clients' }));
      await seen.goes('#/workers/999');
      await seen.seesText('It has left.');
      await stand.client.close();
      await asked;
    },
  );
});
