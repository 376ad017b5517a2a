import { itWithTool } from '../support/tools.js';
import { cleanUp, closeBrowser, type Look, look, openBrowser, Stand } from './support.js';

beforeAll(openBrowser);
afterEach(cleanUp);
afterAll(closeBrowser);

/** Controls that are smaller than a finger. Links in a text are as large as their words. */
const SMALL = `[...document.querySelectorAll(
    'button, input, select, textarea, summary, #views a, .brand')]
  .filter((each) => {
    const { width, height } = each.getBoundingClientRect();
    return width > 0 && (width < 24 || height < 24);
  })
  .map(({ outerHTML }) => outerHTML.slice(0, 120))`;
const PLACES = [
  '',
  '#/services',
  '#/services/work',
  '#/durable',
  '#/events',
  '#/map',
  '#/clients',
  '#/workers/1',
];

async function troubled(): Promise<Stand> {
  const stand = await Stand.open();
  await stand.works('work', () => {
    throw new Error('no paper');
  });
  await stand.submitsDead('work', 2);
  for (const service of ['one', 'two']) await stand.client.submit(service, 'x');
  return stand;
}

async function styleOf(seen: Look, selector: string, property: string): Promise<string> {
  return await seen.page.evaluate<string>(
    `getComputedStyle(document.querySelector(${JSON.stringify(selector)}))[${JSON.stringify(property)}]`,
  );
}

describe('the page for everybody (issue 82.7)', () => {
  itWithTool('chromium', 'reads out what is new, and no count that runs', async () => {
    const stand = await troubled();
    const seen = await look(stand, '#/services');
    await seen.sees(seen.row('work'));
    const alert = seen.page.getByRole('alert');
    await seen.reads(alert, ['No worker. Dead requests']);
    await stand.submitsDead('work', 1);
    await seen.sees(seen.page.locator('#banner', { hasText: '3 durable requests failed' }));
    await seen.reads(alert, ['No worker. Dead requests']);
    const live = await seen.page.locator('[role=status], [aria-live]').allTextContents();
    expect(live.join(' ')).not.toMatch(/\d/);
  });

  itWithTool('chromium', 'has targets of 24 px, at every width', async () => {
    const stand = await troubled();
    for (const width of [390, 768, 1280, 2560]) {
      const seen = await look(stand, '', { viewport: { width, height: 900 } });
      await seen.enters(stand.token);
      for (const place of PLACES) {
        await seen.goes(place === '' ? '#/overview' : place);
        await seen.sees(seen.page.locator('main .card'));
        await seen.gone(seen.page.getByText('Loading…'));
        const small = await seen.page.evaluate<string[]>(SMALL);
        expect([width, place, small]).toEqual([width, place, []]);
      }
    }
  });

  itWithTool('chromium', 'tells tabs, states and lines apart in forced colours', async () => {
    const stand = await troubled();
    const seen = await look(stand, '#/services/work', { forcedColors: 'active' });
    await seen.sees(seen.row('State'));
    const tab = (of: string): Promise<string> => styleOf(seen, of, 'borderBottomColor');
    expect(await tab('#views a[aria-current]')).not.toBe(await tab('#views a:not([aria-current])'));
    expect(await styleOf(seen, '.state.bad', 'borderTopStyle')).toBe('double');
    await seen.sees(seen.page.locator('.chart .marked .label').nth(1));
    const marks = await seen.page.evaluate<string[]>(
      `[...document.querySelector('.chart').querySelectorAll('.label')].map(
        (label) => getComputedStyle(label, '::before').backgroundColor)`,
    );
    expect(new Set(marks).size).toBe(marks.length);
  });

  itWithTool(
    'chromium',
    'uses a wide screen, and is printed without what cannot be pressed',
    async () => {
      const stand = await troubled();
      const seen = await look(stand, '', { viewport: { width: 2560, height: 1200 } });
      await seen.sees(seen.row('work'));
      expect((await seen.page.locator('main').boundingBox())?.width).toBeGreaterThan(2400);
      await seen.page.emulateMedia({ media: 'print' });
      for (const place of ['#views', '#banner button', '#top .icon', 'main .button']) {
        expect([place, await seen.page.locator(`${place}:visible`).count()]).toEqual([place, 0]);
      }
    },
  );
});
