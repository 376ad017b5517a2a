import { SharedMap } from '../../src/sdk/map.js';
import { mapOf, MAPS } from '../support/map-endpoint.js';
import { itWithTool } from '../support/tools.js';
import { cleanUp, closeBrowser, type Look, look, openBrowser, Stand } from './support.js';

beforeAll(openBrowser);
afterEach(cleanUp);
afterAll(closeBrowser);

const WIDTHS = [390, 768, 1280, 2560];
const LONG = 'n'.repeat(255);
/** What of the view is outside the window, or outside of a table's frame. */
const OUTSIDE = `[...document.querySelectorAll('#top *, #banner *, main *, dialog *')]
  .filter((each) => {
    const { width, right } = each.getBoundingClientRect();
    return width > 0 && right > innerWidth + 1 && !each.closest('.frame, .unseen, .plot, #views');
  })
  .map(({ outerHTML }) => outerHTML.slice(0, 200))`;

/** What of the view cannot be seen without scrolling sideways. */
async function hidden(seen: Look): Promise<readonly string[]> {
  const outside = await seen.page.evaluate<string[]>(OUTSIDE);
  const scrolled = await seen.page.evaluate<string[]>(`[...document.querySelectorAll('.frame')]
    .filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth + 1)
    .map((frame) => {
      const widths = [...frame.querySelectorAll('th')].map((th) => \`\${th.textContent} \${th.offsetWidth}\`);
      return \`\${frame.scrollWidth - frame.clientWidth} px to the right: \${widths.join(', ')}\`;
    })`);
  return [...outside, ...scrolled];
}

describe('the page at four widths (issue 82.1)', () => {
  itWithTool('chromium', 'shows every number beside a name of 255 bytes', async () => {
    const stand = await Stand.open({ sets: [MAPS] });
    await stand.works('plain');
    await stand.works(
      LONG,
      () => {
        throw new Error(LONG);
      },
      'w'.repeat(64),
    );
    await stand.works('hold', () => new Promise(() => undefined), 'h'.repeat(64));
    const [uuid = ''] = await stand.submitsDead(LONG, 1);
    const holder = stand.daemon.logged('worker.registered').at(-1)?.['worker'];
    const held = stand.client.request('hold', 'x').catch(() => undefined);
    await stand.client.schedule('s'.repeat(128), LONG, 'x', { cron: '0 0 29 2 *' });
    await using map = new SharedMap({ endpoints: [mapOf(stand.daemon)] });
    await map.set(LONG, 'v'.repeat(199));
    const views: readonly (readonly [place: string, text: string])[] = [
      ['overview', LONG],
      ['services', LONG],
      [`services/${LONG}`, LONG],
      ['durable', LONG],
      [`durable/${uuid}`, 'Accepted'],
      ['events', LONG],
      ['map', LONG],
      ['clients', 'h'.repeat(64)],
      [`workers/${String(holder)}`, '127.0.0.1'],
    ];
    const found: (readonly [width: number, place: string, hidden: readonly string[]])[] = [];
    for (const width of WIDTHS) {
      const seen = await look(stand, '', { viewport: { width, height: 900 } });
      await seen.enters(stand.token);
      for (const [place, text] of views) {
        await seen.goes(`#/${place}`);
        await seen.seesText(text);
        if (place === 'durable') {
          await seen.sees(seen.page.getByRole('table', { name: 'Schedules' }));
        }
        const outside = await hidden(seen);
        if (outside.length > 0) found.push([width, place, outside]);
      }
    }
    expect(found).toEqual([]);
    await stand.client.close();
    await held;
  });
});
