import { itWithTool } from '../support/tools.js';
import { cleanUp, closeBrowser, type Look, look, openBrowser, Stand } from './support.js';

beforeAll(openBrowser);
afterEach(cleanUp);
afterAll(closeBrowser);

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true } as const;
const LARGE_TYPE = `document.documentElement.style.fontSize = '125%'`;
/** Texts of the header and the view that are outside of the screen, or of a frame that scrolls. */
const CUT = `[...document.querySelectorAll('#top *, #banner, main :is(th, td, button, .bad)')]
  .filter((each) => {
    const { width, right } = each.getBoundingClientRect();
    const frame = each.closest('.frame')?.getBoundingClientRect().right ?? innerWidth;
    return width > 0 && right > Math.min(innerWidth, frame) + 1 && !each.closest('.unseen');
  })
  .map(({ textContent }) => textContent)`;

async function cut(seen: Look): Promise<readonly string[]> {
  return await seen.page.evaluate<string[]>(CUT);
}

async function bannerHeight(seen: Look): Promise<number> {
  return (await seen.page.locator('#banner').boundingBox())?.height ?? NaN;
}

/** A stand with a failing, an unserved and a paused service, and a queue. */
async function troubled(): Promise<Stand> {
  const stand = await Stand.open();
  await stand.works('broken', () => {
    throw new Error('no paper');
  });
  await stand.works('slow', () => new Promise(() => undefined));
  await stand.works('quick');
  await stand.submitsDead('broken', 6);
  await stand.client.submit('nobody', 'x');
  for (let n = 0; n < 5; n++) void stand.client.request('slow', 'x').catch(() => null);
  return stand;
}

describe('the page on a phone (issue 55)', () => {
  itWithTool(
    'chromium',
    'shows queue, oldest and p99 in a second line, and sorts by them',
    async () => {
      const stand = await troubled();
      const seen = await look(stand, '', PHONE);
      await stand.whileAsking('quick', async () => {
        const below = (text: RegExp): Promise<void> =>
          seen.sees(seen.page.locator('td.below:visible', { hasText: text }));
        for (const view of ['overview', 'services']) {
          await seen.goes(`#/${view}`);
          await below(/Queued 4/);
          await below(/Oldest waiting \d/);
          await below(/p99 [\d.]+ m?s/);
          expect(await cut(seen)).toEqual([]);
        }
      });
      const names = seen.page.locator('tbody .name');
      const first = names.first();
      await seen.button('Queued').click();
      await seen.sees(first.filter({ hasText: 'slow' }));
      await seen.sees(seen.page.getByRole('button', { name: 'Queued ↓', pressed: true }));
      await seen.button('Queued ↓').click();
      await seen.gone(first.filter({ hasText: 'slow' }));
      expect(await seen.axe()).toEqual([]);
    },
  );

  itWithTool('chromium', 'shows the last reason of a failure in a second line', async () => {
    const stand = await troubled();
    const seen = await look(stand, '#/services/broken', PHONE);
    await seen.enters(stand.token);
    await seen.sees(seen.page.locator('td.below:visible', { hasText: 'Last reason no paper' }));
    expect(await cut(seen)).toEqual([]);
    const card = seen.page.locator('.card').filter({ hasText: 'Last reason' });
    await seen.sees(card.getByRole('button', { name: 'Failures', exact: true }));
    expect(await card.getByText('More to the right').isVisible()).toBe(false);
  });

  itWithTool('chromium', 'folds the banners into one line that opens, also by keys', async () => {
    const stand = await troubled();
    const seen = await look(stand, '', PHONE);
    const fold = seen.page.locator('#banner button[aria-expanded]');
    await seen.sees(
      fold.filter({ hasText: '3 problems Failing always · No worker · Dead requests' }),
    );
    expect(await bannerHeight(seen)).toBeLessThan(844 / 10);
    const dead = seen.page.locator('#banner').getByText('6 durable requests failed for good');
    expect(await dead.isVisible()).toBe(false);
    await fold.focus();
    await seen.page.keyboard.press('Enter');
    await seen.sees(dead);
    await seen.sees(seen.page.getByRole('button', { name: /^3 problems/, expanded: true }));
    // The line stays as wide as the screen: the problems are below it.
    expect((await fold.boundingBox())?.width).toBeGreaterThan(300);
    expect((await fold.boundingBox())?.height).toBeLessThan(844 / 10);
    expect(await seen.axe()).toEqual([]);
    await seen.button('Dismiss: Dead requests').click();
    await seen.button('Dismiss: Failing always').click();
    // One alone is said in that line.
    await seen.sees(fold.filter({ hasText: 'No worker Requests are waiting for nobody' }));
    await seen.page.keyboard.press('Enter');
    await fold.click();
    await seen.sees(seen.page.getByRole('button', { name: /^No worker/, expanded: false }));
    expect(await bannerHeight(seen)).toBeLessThan(844 / 10);
    // A wide screen has room for the worst one beside that line.
    const wide = await look(stand);
    await wide.sees(wide.page.getByRole('button', { name: /^3 problems/, expanded: false }));
    await wide.seesText('Every request for');
    expect(await bannerHeight(wide)).toBeLessThan(800 / 8);
  });

  itWithTool(
    'chromium',
    'folds the filters of durable requests, and counts the active ones',
    async () => {
      const stand = await Stand.open();
      await stand.client.submit('later', 'x');
      const seen = await look(stand, '#/durable?service=later&state=pending', PHONE);
      await seen.sees(seen.row('later'));
      const since = seen.page.getByLabel('Since');
      expect(await since.isVisible()).toBe(false);
      await seen.sees(seen.page.getByRole('button', { name: 'Filters (2)', expanded: false }));
      await seen.button('Filters (2)').click();
      await since.fill('1h');
      await seen.button('Search').click();
      await seen.button('Filters (3)').click();
      await seen.gone(since);
      // The key for searching unfolds them.
      await seen.page.keyboard.press('/');
      await seen.sees(seen.page.locator('[data-search]:focus'));
      await seen.sees(since);
      expect(await seen.axe()).toEqual([]);
      // A wide screen shows them at once.
      const wide = await look(stand, '#/durable?service=later');
      await wide.sees(wide.page.getByLabel('Since'));
      await wide.counts(wide.page.getByRole('button', { name: /^Filters/ }), 0);
    },
  );

  itWithTool('chromium', 'cuts nothing in large type', async () => {
    const stand = await troubled();
    const seen = await look(stand, '', PHONE);
    await seen.enters(stand.token);
    for (const view of ['overview', 'services', 'durable', 'events', 'map', 'services/broken']) {
      await seen.goes(`#/${view}`);
      await seen.page.evaluate(LARGE_TYPE);
      await seen.sees(seen.page.locator('main .card'));
      await seen.sees(seen.link('Map'));
      if (view.includes('services')) await seen.sees(seen.row('Workers').or(seen.row('State')));
      expect([view, await cut(seen)]).toEqual([view, []]);
      const width = await seen.page.evaluate<number>('document.documentElement.scrollWidth');
      expect([view, width]).toEqual([view, 390]);
    }
  });
});
