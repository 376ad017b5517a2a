import { SharedMap } from '../../src/sdk/map.js';
import { mapOf, MAPS } from '../support/map-endpoint.js';
import { itWithTool } from '../support/tools.js';
import { cleanUp, closeBrowser, type Look, look, openBrowser, Stand } from './support.js';

beforeAll(openBrowser);
afterEach(cleanUp);
afterAll(closeBrowser);

const PROGRAM =
  'http.tokens=[{name: page, role: request, token: the-token-of-the-page, client: [work]}]';
const ARABIC = 'مرحبا.خدمة';
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

/** Parts of a name that a line break cuts in two. */
async function brokenWords(seen: Look): Promise<readonly string[]> {
  return await seen.page.evaluate<string[]>(`(() => {
    const found = [];
    for (const name of document.querySelectorAll('main .name')) {
      const walker = document.createTreeWalker(name, NodeFilter.SHOW_TEXT);
      for (let text = walker.nextNode(); text !== null; text = walker.nextNode()) {
        for (const { index, 0: word } of text.data.matchAll(/[\\p{L}\\p{N}]+/gu)) {
          const range = document.createRange();
          range.setStart(text, index);
          range.setEnd(text, index + word.length);
          if (new Set([...range.getClientRects()].map(({ top }) => top)).size > 1) found.push(word);
        }
      }
    }
    return found;
  })()`);
}

describe('names and layout of the page (issue 37)', () => {
  itWithTool('chromium', 'decode Unicode, isolated, and lead to their service', async () => {
    const stand = await Stand.open();
    await stand.works(ARABIC);
    await stand.works('evil\u202exe.cod');
    const seen = await look(stand, '#/services');
    await seen.sees(seen.row(ARABIC));
    expect(await seen.page.locator('tbody bdi', { hasText: ARABIC }).count()).toBe(1);
    await seen.sees(seen.row('evil%E2%80%AExe.cod'));
    await seen.page.getByRole('searchbox').fill('خدمة');
    await seen.counts(seen.page.locator('tbody tr'), 1);
    expect(seen.page.url()).toContain('name=');
    await seen.page.reload();
    await seen.counts(seen.page.locator('tbody tr'), 1);
    await seen.link(ARABIC).click();
    await seen.sees(seen.page.getByRole('heading', { name: ARABIC }));
    await seen.sees(seen.page.getByRole('table', { name: 'Workers' }));
  });

  itWithTool(
    'chromium',
    'never break in a word, and uuids are short and can be copied',
    async () => {
      const stand = await Stand.open({ sets: [MAPS] });
      const long = 'invoicing.department.archive.monthly-statement-rendering';
      await using map = new SharedMap({ endpoints: [mapOf(stand.daemon)] });
      await map.set(`/config/${long.replaceAll('.', '/')}/${long}`, 'x');
      await stand.works(long, () => {
        throw new Error('the printer has no paper');
      });
      const [uuid = ''] = await stand.submitsDead(long, 1);
      for (const options of [{}, PHONE]) {
        const seen = await look(stand, '#/durable', options);
        await seen.enters(stand.token);
        await seen.sees(seen.page.locator('.reason', { hasText: 'no paper' }));
        expect(await brokenWords(seen)).toEqual([]);
        const link = seen.page.getByRole('link', { name: uuid });
        expect((await link.boundingBox())?.width).toBeLessThan(100);
        for (const place of ['', '#/services', `#/services/${long}`, '#/events', '#/map']) {
          await seen.goes(place);
          await seen.seesText(long);
          expect([place, await brokenWords(seen)]).toEqual([place, []]);
        }
      }
      const seen = await look(stand, '#/durable', {
        permissions: ['clipboard-read', 'clipboard-write'],
      });
      await seen.enters(stand.token);
      await seen.button(`Copy UUID ${uuid}`).click();
      await seen.seesText('Copied');
      expect(await seen.page.evaluate<string>('navigator.clipboard.readText()')).toBe(uuid);
    },
  );

  itWithTool(
    'chromium',
    'tell which columns a phone leaves out, and where a table goes on',
    async () => {
      const stand = await Stand.open();
      await stand.works('work');
      const phone = await look(stand, '#/services', PHONE);
      await phone.sees(phone.row('work'));
      const heads = phone.page.locator('th');
      await phone.reads(heads, ['Service', 'Workers', 'Failures/s', 'Dead']);
      // What tells of a flood and of slowness is in a second line instead.
      await phone.seesText(
        'Wider screens also show: Idle · Busy · Failed · Replies · p50 · Pending',
      );
      await phone.seesText(/^Queued 0/);
      const narrow = await look(stand, '#/services', { viewport: { width: 900, height: 800 } });
      await narrow.sees(narrow.row('work'));
      expect(await narrow.page.locator('th').allTextContents()).not.toContain('p50');
      expect(await narrow.page.locator('th').allTextContents()).toContain('p99');
      // A table that is still too wide can be scrolled, also by keys.
      await narrow.page.evaluate(`document.querySelector('main table').style.minWidth = '1400px'`);
      await narrow.seesText('More to the right →');
      const frame = narrow.page.getByRole('region', { name: 'Services, scrollable' });
      await frame.focus();
      await narrow.page.keyboard.press('End');
      await narrow.page.evaluate(`document.querySelector('main .frame').scrollLeft = 10000`);
      await narrow.gone(narrow.page.getByText('More to the right →'));
    },
  );

  itWithTool('chromium', 'are not covered by what the page says of a command', async () => {
    const stand = await Stand.open();
    for (let index = 0; index < 55; index++) await stand.client.submit('later', 'x');
    const seen = await look(stand, '#/durable', {
      viewport: { width: 1280, height: 500 },
      permissions: ['clipboard-write'],
      // It does not move.
      reducedMotion: 'reduce',
    });
    await seen.enters(stand.token);
    await seen.counts(seen.page.locator('tbody tr'), 50);
    // Measured by the page when it comes: later it may be gone.
    const measured = seen.page.evaluate<readonly [boolean, number, number]>(`new Promise((done) => {
      const measure = () => {
        const toast = document.querySelector('.toast');
        if (toast === null) return requestAnimationFrame(measure);
        const { x, y, width, height } = toast.getBoundingClientRect();
        const hit = document.elementFromPoint(x + width / 2, y + height / 2);
        scrollTo(0, document.documentElement.scrollHeight);
        const { bottom } = document.querySelector('.pager').getBoundingClientRect();
        done([hit.closest('.toast') === null, bottom, toast.getBoundingClientRect().y]);
      };
      measure();
    })`);
    await seen.page
      .getByRole('button', { name: /^Copy UUID/ })
      .first()
      .click();
    const [isPassedThrough, buttons, said] = await measured;
    // Where it lies over the content, a click passes through it.
    expect(isPassedThrough).toBe(true);
    // And at the end of the page it lies below the last button.
    expect(buttons).toBeLessThanOrEqual(said);
    await seen.button('Older').click();
    await seen.seesText('page 2');
  });

  itWithTool('chromium', 'say why there is nothing', async () => {
    const stand = await Stand.open();
    const seen = await look(stand, '#/durable');
    await seen.seesText('Nothing is stored now. A client stores requests with');
    await seen.goes('#/services');
    await seen.seesText('A service appears when a worker registers for it');
    await seen.goes('#/services/nobody');
    await seen.seesText('No such service');
    await stand.client.submit('later', 'x');
    await seen.goes('#/durable?state=dead');
    await seen.seesText('None of the 1 durable requests matches the filters.');
    await seen.goes('#/services?name=zzz');
    await seen.seesText('None of 1 has this in its name.');
    const off = await Stand.open({ sets: ['titanic.enabled=false'] });
    const without = await look(off, '#/durable');
    await without.seesText('Durable requests are switched off on this node. To store some, set');
  });

  itWithTool(
    'chromium',
    'have nothing that axe calls serious, in both themes and on a phone',
    async () => {
      const stand = await Stand.open({ sets: [MAPS, PROGRAM] });
      await stand.works('work', () => {
        throw new Error('no paper');
      });
      const [uuid = ''] = await stand.submitsDead('work', 1);
      await stand.client.submit('nobody', 'x');
      await stand.client.schedule('leap day', 'report', 'x', { cron: '0 0 29 2 *' });
      await using map = new SharedMap({ endpoints: [mapOf(stand.daemon)] });
      await map.set('/config/limit', '100', { ttlMs: 600_000 });
      const views = [
        '',
        '#/services',
        '#/services/work',
        '#/durable',
        `#/durable/${uuid}`,
        '#/events',
        '#/map',
        '#/pair',
      ];
      const screens = [{ colorScheme: 'light' }, { colorScheme: 'dark' }, PHONE] as const;
      for (const options of screens) {
        const seen = await look(stand, '', options);
        await seen.enters(stand.token);
        for (const view of views) {
          await seen.goes(view);
          await seen.sees(
            seen.page
              .locator('#banner .trouble:visible')
              .nth(1)
              .or(seen.page.getByRole('button', { name: /^2 problems/ })),
          );
          await seen.sees(seen.page.locator('main .card'));
          if (view === '#/services/work') await seen.button('Write one').click();
          expect([options, view, await seen.axe()]).toEqual([options, view, []]);
        }
      }
    },
  );
});
