import { MAPS } from '../support/map-endpoint.js';
import { itWithTool } from '../support/tools.js';
import { cleanUp, closeBrowser, type Look, look, openBrowser, openPair, Stand } from './support.js';

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
const WIDTHS = [390, 768, 1280, 2560];
/**
 * What forced colours leave alike: an element looks the same in another state, or two lines of a
 * chart, or a line and its ground. Colours of borders count only where they are the system's own.
 */
const ALIKE = `(() => {
  const GRADES = ['bad', 'warn', 'quiet'];
  const STATES = [
    ['aria-current', 'page', null],
    ['aria-expanded', 'true', 'false'],
    ['disabled', '', null],
  ];
  const PROPERTIES = ['content', 'color', 'opacity', 'backgroundColor', 'textDecoration',
    ...['Top', 'Bottom', 'Left'].flatMap((side) => ['Style', 'Width', 'Color']
      .map((what) => 'border' + side + what))];
  const isSeen = (each) => each.getClientRects().length > 0;
  const lookOf = (each) => [each, ...each.querySelectorAll(':scope > strong')].flatMap((one) =>
    [null, '::before', '::after'].flatMap((part) => {
      const style = getComputedStyle(one, part);
      return part !== null && style.content === 'none' ? [] : PROPERTIES.map((of) => style[of]);
    })).join();
  const told = (each) => each.outerHTML.slice(0, 120);
  const alike = [];
  const all = (selector) => [...document.querySelectorAll(selector)].filter(isSeen);
  for (const each of all('.bad, .warn')) {
    const own = GRADES.find((grade) => each.classList.contains(grade));
    const { className } = each;
    const looks = GRADES.map((grade) => {
      each.classList.replace(GRADES.find((one) => each.classList.contains(one)), grade);
      return lookOf(each);
    });
    each.className = className;
    const mine = looks[GRADES.indexOf(own)];
    if (looks.filter((one) => one === mine).length > 1) alike.push(told(each));
  }
  for (const [name, on, off] of STATES) {
    for (const each of all('[' + name + ']')) {
      const before = each.getAttribute(name);
      const looks = [on, off].map((value) => {
        if (value === null) each.removeAttribute(name);
        else each.setAttribute(name, value);
        return lookOf(each);
      });
      each.setAttribute(name, before);
      if (looks[0] === looks[1]) alike.push(name + ': ' + told(each));
    }
  }
  for (const each of all('.icon')) {
    const looks = [1, 2].map(() => (each.classList.toggle('on'), lookOf(each)));
    if (looks[0] === looks[1]) alike.push(told(each));
  }
  // The name of what is switched tells its state: with "pressed", it would say the opposite.
  const says = (each) => /[↑↓]$/.test(each.textContent) !== (each.ariaPressed === 'true');
  alike.push(...all('[aria-pressed]').filter(says).map(told));
  const light = (colour) => colour.match(/[\\d.]+/g).slice(0, 3)
    .map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = light(getComputedStyle(document.querySelector('main .card')).backgroundColor);
  for (const chart of all('.chart')) {
    const marks = [...chart.querySelectorAll('.marked .label')]
      .map((label) => getComputedStyle(label, '::before').backgroundColor);
    if (new Set(marks).size < marks.length) alike.push('lines: ' + chart.ariaLabel);
    for (const mark of marks) {
      const [dark, bright] = [light(mark), ground].sort((one, other) => one - other);
      if ((bright + 0.05) / (dark + 0.05) < 3) alike.push(chart.ariaLabel + ': ' + mark);
    }
  }
  return [...new Set(alike)];
})()`;
const PLACES = [
  '#/overview',
  '#/services',
  '#/services/work',
  '#/durable',
  '#/events',
  '#/map',
  '#/clients',
  '#/workers/1',
];

/** Makes trouble on a node. @returns a dead request */
async function trouble(stand: Stand): Promise<string> {
  await stand.works('work', () => {
    throw new Error('no paper');
  });
  const [uuid = ''] = await stand.submitsDead('work', 2);
  for (const service of ['one', 'two']) await stand.client.submit(service, 'x');
  return uuid;
}

async function troubled(): Promise<Stand> {
  const stand = await Stand.open();
  await trouble(stand);
  return stand;
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
    for (const width of WIDTHS) {
      const seen = await look(stand, '', { viewport: { width, height: 900 } });
      await seen.enters(stand.token);
      for (const place of PLACES) {
        await seen.goes(place);
        await seen.sees(seen.page.locator('main .card'));
        await seen.gone(seen.page.getByText('Loading…'));
        const small = await seen.page.evaluate<string[]>(SMALL);
        expect([width, place, small]).toEqual([width, place, []]);
      }
    }
  });

  itWithTool(
    'chromium',
    'tells tabs, states, switches and lines apart in forced colours, in every view',
    async () => {
      const [left, right] = await openPair(null, [MAPS]);
      const seen = await look(left, '#/pair', { forcedColors: 'active', colorScheme: 'light' });
      await seen.sees(seen.page.locator('.link', { hasText: 'in sync' }));
      const uuid = await trouble(left);
      await seen.enters(left.token);
      // The chosen theme is not that of the system's colours.
      await seen.page.evaluate(`document.documentElement.dataset.theme = 'dark'`);
      const found = new Map<string, string>();
      const compares = async (of: Look, place: string): Promise<void> => {
        for (const width of WIDTHS) {
          await of.page.setViewportSize({ width, height: 900 });
          const alike = await of.page.evaluate<string[]>(ALIKE);
          for (const each of alike) found.set(each, `${place} at ${String(width)} px`);
        }
      };
      for (const place of [...PLACES, `#/durable/${uuid}`, '#/pair']) {
        await seen.goes(place);
        await seen.sees(seen.page.locator('main .card'));
        await seen.gone(seen.page.getByText('Loading…'));
        await compares(seen, place);
      }
      await seen.goes('#/services/work');
      await seen.sees(seen.page.locator('.chart .marked .label').nth(1));
      await compares(seen, 'charts');
      const away = await look(right, '', { forcedColors: 'active' });
      await away.sees(away.page.locator('#banner .trouble'));
      await compares(away, 'passive');
      away.mayLose = true;
      await right.daemon.kill();
      await seen.goes('#/pair');
      await seen.sees(seen.page.locator('.link.bad'));
      await compares(seen, 'alone');
      expect([...found]).toEqual([]);
    },
  );

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
