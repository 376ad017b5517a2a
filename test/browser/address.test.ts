import { Patience } from '../support/patience.js';
import { itWithTool } from '../support/tools.js';
import { cleanUp, closeBrowser, look, openBrowser, Stand } from './support.js';

beforeAll(openBrowser);
afterEach(cleanUp);
afterAll(closeBrowser);

describe('the address of the page (issue 82.5)', () => {
  itWithTool('chromium', 'has order and page of a table, and so has the history', async () => {
    const stand = await Stand.open();
    const names = Array.from({ length: 60 }, (_, n) => `s.${String(n).padStart(2, '0')}`);
    await Promise.all(names.map((name) => stand.client.submit(name, 'x')));
    const seen = await look(stand, '#/services');
    const first = seen.page.locator('tbody .name').first();
    await seen.reads(first, ['s.00']);
    await seen.button('Service').click();
    await seen.button('Service').click();
    await seen.reads(first, ['s.59']);
    await seen.button('Next').click();
    await seen.reads(first, ['s.09']);
    expect(decodeURIComponent(seen.page.url())).toMatch(
      /sort\.services=-Service&page\.services=2$/,
    );
    await seen.page.reload();
    await seen.reads(first, ['s.09']);
    await seen.page.goBack();
    await seen.reads(first, ['s.59']);
    await seen.page.goBack();
    await seen.reads(first, ['s.00']);
    await seen.page.goForward();
    await seen.reads(first, ['s.59']);
    // Another filter begins at its first page, in the same order.
    await seen.button('Next').click();
    await seen.page.getByRole('searchbox').fill('s.1');
    await seen.reads(first, ['s.19']);
  });

  itWithTool('chromium', 'has the page of a list that the node gives page by page', async () => {
    const stand = await Stand.open();
    for (let n = 0; n < 55; n++) await stand.client.submit('later', 'x');
    const seen = await look(stand, '#/durable?service=later');
    const rows = seen.page.getByRole('table', { name: 'Durable requests' }).locator('tbody tr');
    await seen.seesText('55 requests found');
    await seen.button('Older').click();
    await seen.counts(rows, 5);
    await seen.page.reload();
    await seen.counts(rows, 5);
    await seen.seesText('page 2');
    await seen.button('Newer').click();
    await seen.counts(rows, 50);
    await seen.page.goBack();
    await seen.counts(rows, 5);
  });

  itWithTool(
    'chromium',
    'finds a request by the end of its uuid, its kind and its death',
    async () => {
      const stand = await Stand.open();
      await stand.works('work', () => {
        throw new Error('no paper');
      });
      const [uuid = ''] = await stand.submitsDead('work', 3);
      const seen = await look(stand, '#/durable');
      await seen.enters(stand.token);
      await seen.seesText('3 requests found');
      await seen.page.getByLabel('UUID ends with').fill(uuid.slice(-9).toLowerCase());
      await seen.button('Search').click();
      await seen.seesText('1 request found');
      await seen.sees(seen.page.getByRole('link', { name: uuid }));
      await seen.goes('#/durable?diedSince=1h&kind=request');
      await seen.seesText('3 requests found');
      await seen.goes('#/durable?diedBefore=1h');
      await seen.seesText('0 requests found');
      await seen.goes('#/durable?kind=webhook');
      await seen.seesText('0 requests found');
      await seen.button('Forget the token').click();
      await seen.goes('#/durable?uuidEnd=AB');
      await seen.seesText('These filters need a token.');
    },
  );

  itWithTool('chromium', 'is told by the title, and schedules have their own', async () => {
    const stand = await Stand.open();
    await stand.works('work');
    await stand.client.schedule('leap day', 'yearly', 'x', { cron: '0 0 29 2 *' });
    const { uuid } = await stand.client.submit('later', 'x');
    const seen = await look(stand);
    const titles = [
      ['', 'left – Majordomo'],
      ['#/services', 'Services – left – Majordomo'],
      ['#/services/work', 'work – left – Majordomo'],
      [`#/durable/${uuid}`, `request …${uuid.slice(-8)} – left – Majordomo`],
      ['#/durable/schedules', 'schedules – left – Majordomo'],
    ] as const;
    for (const [place, title] of titles) {
      await seen.goes(place === '' ? '#/overview' : place);
      const patience = new Patience();
      const read = async (): Promise<string> => (await seen.page.title()).replace('⚠ ', '');
      while ((await read()) !== title && !patience.isOver) await patience.pause(20);
      expect(await read()).toBe(title);
    }
    await seen.sees(seen.page.getByRole('heading', { name: 'Durable / Schedules' }));
    await seen.sees(seen.row('yearly'));
  });
});
