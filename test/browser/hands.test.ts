import { itWithTool } from '../support/tools.js';
import { cleanUp, closeBrowser, type Look, look, openBrowser, Stand } from './support.js';

beforeAll(openBrowser);
afterEach(cleanUp);
afterAll(closeBrowser);

const VIEWS = ['overview', 'services', 'durable', 'pair', 'events', 'map'];
const TOKEN = 'sixteen-letters-or-more';

async function ground(seen: Look): Promise<string> {
  return await seen.page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
}

/** Brightness of an `rgb(…)` colour, 0 to 255. */
function brightness(colour: string): number {
  const parts = Array.from(colour.matchAll(/\d+/g), ([digits]) => Number(digits)).slice(0, 3);
  return parts.reduce((sum, part) => sum + part, 0) / 3;
}

describe('the page on screens and keyboards (issue 6.2)', () => {
  itWithTool('chromium', 'follows the theme of the system, and its own switch', async () => {
    const stand = await Stand.open();
    const light = await look(stand, '', { colorScheme: 'light' });
    const dark = await look(stand, '', { colorScheme: 'dark' });
    expect(brightness(await ground(light))).toBeGreaterThan(200);
    expect(brightness(await ground(dark))).toBeLessThan(50);
    await dark.button('Colours: auto').click();
    expect(brightness(await ground(dark))).toBeGreaterThan(200);
    await dark.page.reload();
    await dark.sees(dark.button('Colours: light'));
    expect(brightness(await ground(dark))).toBeGreaterThan(200);
  });

  itWithTool('chromium', 'fits a phone: nothing is wider than the screen', async () => {
    const stand = await Stand.open();
    await stand.works('a-service-with-a-name-that-goes-on-and-on-and-on-for-quite-a-while');
    await stand.client.submit('later', 'x');
    const viewport = { width: 360, height: 740 };
    const seen = await look(stand, '', { viewport, hasTouch: true, isMobile: true });
    for (const view of VIEWS) {
      await seen.goes(`#/${view}`);
      await seen.sees(seen.page.locator('main .card'));
      const width = await seen.page.evaluate<number>('document.documentElement.scrollWidth');
      expect([view, width]).toEqual([view, viewport.width]);
    }
    // Neither are the two main tables.
    for (const [view, name] of [
      ['services', 'a-service'],
      ['durable', 'later'],
    ] as const) {
      await seen.goes(`#/${view}`);
      await seen.sees(seen.row(name));
      const hidden = await seen.page.evaluate<number>(
        `Math.max(...Array.from(document.querySelectorAll('.table'), (table) =>
          table.scrollWidth - table.clientWidth))`,
      );
      expect([view, hidden]).toEqual([view, 0]);
    }
  });

  itWithTool('chromium', 'needs no mouse', async () => {
    const stand = await Stand.open();
    await stand.works('alpha');
    await stand.works('beta');
    const seen = await look(stand);
    const { keyboard } = seen.page;
    await seen.sees(seen.page.locator('#state', { hasText: 'active' }));
    await keyboard.press('2');
    // The overview has such a row, too, but no field to search in.
    await seen.sees(seen.page.locator('[data-search]'));
    await seen.sees(seen.row('beta'));
    await keyboard.press('/');
    await keyboard.type('bet');
    await seen.gone(seen.row('alpha'));
    await keyboard.press('Escape');
    // Leaving the field keeps the filter.
    expect(await seen.page.locator('[data-search]').inputValue()).toBe('bet');
    await keyboard.press('j');
    await seen.sees(seen.page.locator('a:focus-visible', { hasText: 'beta' }));
    await keyboard.press('Enter');
    await seen.sees(seen.page.getByRole('heading', { name: 'beta' }));
    await keyboard.press('?');
    await seen.sees(seen.page.getByRole('dialog', { name: 'Keyboard' }));
    await keyboard.press('Escape');
    await seen.gone(seen.page.getByRole('dialog'));
    await keyboard.press('4');
    await seen.sees(seen.page.getByRole('heading', { name: 'Events' }));
  });

  itWithTool('chromium', 'can be navigated by Tab, with visible focus', async () => {
    const seen = await look(await Stand.open());
    await seen.sees(seen.page.locator('#state', { hasText: 'active' }));
    const walked: string[] = [];
    for (let step = 0; step < 9; step++) {
      await seen.page.keyboard.press('Tab');
      const focused = seen.page.locator(':focus-visible');
      expect(await focused.count()).toBe(1);
      const named = await focused.getAttribute('aria-label');
      walked.push(named ?? (await focused.textContent()) ?? '');
    }
    expect(walked).toEqual([
      'Skip to content',
      'Majordomo left, overview',
      'Enter the token',
      'Colours: auto',
      'Keyboard',
      'Overview',
      'Services',
      'Durable',
      'Events',
    ]);
  });

  itWithTool('chromium', 'asks for the token if reading needs it (contract §4)', async () => {
    const sets = ['http.listen=0.0.0.0:0', 'http.insecure=true', `http.token=${TOKEN}`];
    const stand = await Stand.open({ sets });
    const seen = await look({ url: stand.url.replace('0.0.0.0', '127.0.0.1') });
    seen.mayLose = true;
    await seen.sees(seen.page.getByRole('dialog', { name: 'Token needed' }));
    await seen.page.getByLabel('Token', { exact: true }).fill('this-is-not-the-one');
    await seen.page.keyboard.press('Enter');
    await seen.seesText('Wrong token.');
    await seen.page.keyboard.press('Escape');
    await seen.sees(
      seen.page.locator('#banner', { hasText: 'Locked Reading this node needs a token.' }),
    );
    await seen.page.locator('#banner').getByRole('button', { name: 'Enter the token' }).click();
    await seen.page.getByLabel('Token', { exact: true }).fill(TOKEN);
    await seen.page.keyboard.press('Enter');
    await seen.sees(seen.page.locator('#state', { hasText: 'active' }));
    await seen.seesText('titanic.recovered');
    await stand.works('echo');
    await seen.seesText('worker.registered');
    await seen.sees(seen.row('echo'));
  });

  itWithTool(
    'chromium',
    'reads without a token where that is open, and says what tokens may do',
    async () => {
      const list = [
        { name: 'eve', role: 'read', token: 'the-token-of-a-reader' },
        { name: 'shop', role: 'request', token: 'the-token-of-a-shop', client: ['*'] },
        { name: 'ann', role: 'operate', token: 'the-token-of-an-operator' },
      ];
      const stand = await Stand.open({ sets: [`http.tokens=${JSON.stringify(list)}`] });
      await stand.client.submit('later', 'x');
      const seen = await look(stand, '#/durable');
      seen.mayLose = true;
      await seen.sees(seen.row('later'));
      const dialog = seen.page.getByRole('dialog', { name: 'Token needed' });
      const enters = async (token: string): Promise<void> => {
        await seen.page.getByLabel('Token', { exact: true }).fill(token);
        await seen.page.keyboard.press('Enter');
      };
      await seen.button('Enter the token').click();
      await seen.sees(
        dialog.filter({ hasText: 'http.tokens' }).filter({ hasText: 'role: operate' }),
      );
      // Neither of these two reads more than is open, and that stays open.
      await enters('this-is-not-the-one');
      await seen.sees(dialog.filter({ hasText: 'Wrong token.' }));
      await enters('the-token-of-a-shop');
      await seen.sees(dialog.filter({ hasText: 'This token only sends requests to services' }));
      await seen.page.keyboard.press('Escape');
      await seen.gone(dialog);
      await seen.sees(seen.page.locator('#state', { hasText: 'active' }));
      await seen.sees(seen.row('later'));
      expect(await seen.page.locator('#banner').textContent()).not.toContain('Locked');
      // A reader sees whole uuids, and is told why nothing can be changed.
      await seen.button('Enter the token').click();
      await enters('the-token-of-a-reader');
      await seen.page.getByRole('checkbox', { name: /^Select / }).check();
      const cancel = seen.button('Cancel 1');
      await seen.sees(cancel.and(seen.page.locator(':disabled')));
      expect(await cancel.getAttribute('title')).toContain('This token is read-only');
      await seen.button('Forget the token').click();
      await seen.enters('the-token-of-an-operator');
      await seen.page.getByRole('checkbox', { name: /^Select / }).check();
      await cancel.click();
      await seen.button('Cancel 1 request').click();
      await seen.seesText('1 cancelled');
    },
  );

  itWithTool('chromium', 'weighs less than 200 KiB', async () => {
    const stand = await Stand.open();
    const seen = await look(stand);
    await seen.sees(seen.page.locator('#state', { hasText: 'active' }));
    const bytes = await seen.page.evaluate<number>(
      `performance.getEntries()
        .filter(({ name }) => !name.includes('/api/'))
        .reduce((sum, { decodedBodySize = 0 }) => sum + decodedBodySize, 0)`,
    );
    expect(bytes).toBeGreaterThan(10_000);
    expect(bytes).toBeLessThan(200 * 1024);
  });
});
