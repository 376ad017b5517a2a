import { itWithTool } from '../support/tools.js';
import { cleanUp, closeBrowser, type Look, look, openBrowser, Stand } from './support.js';

beforeAll(openBrowser);
afterEach(cleanUp);
afterAll(closeBrowser);

/** The labels of both scales of a chart: values from the bottom up, times from now back. */
async function scales(seen: Look, chart: string): Promise<readonly string[][]> {
  const card = seen.page.getByLabel(chart, { exact: true });
  return [
    await card.locator('.heights span').allTextContents(),
    await card.locator('.times-back span').allTextContents(),
  ];
}

/** Contrast of a scale label on its card, by WCAG. 4.5 or more is readable. */
async function contrast(seen: Look): Promise<number> {
  return await seen.page.evaluate<number>(`(() => {
    const rgb = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
    const light = (colour) => {
      const [r, g, b] = rgb(colour).map((each) => {
        const share = each / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const label = document.querySelector('.heights span');
    const [dark, bright] = [
      light(getComputedStyle(label).color),
      light(getComputedStyle(label.closest('.card')).backgroundColor),
    ].sort((left, right) => left - right);
    return (bright + 0.05) / (dark + 0.05);
  })()`);
}

/** Labels that overlap another one, or stick out of their card. */
async function collisions(seen: Look): Promise<readonly string[]> {
  return await seen.page.evaluate<string[]>(`(() => {
    const found = [];
    for (const card of document.querySelectorAll('.chart')) {
      const frame = card.getBoundingClientRect();
      const labels = [...card.querySelectorAll('.axes span, .figure .value')].map((label) => ({
        text: label.textContent, box: label.getBoundingClientRect(),
      }));
      for (const [index, { text, box }] of labels.entries()) {
        const isOut = box.left < frame.left || box.right > frame.right || box.bottom > frame.bottom;
        if (isOut) found.push(card.ariaLabel + ': ' + text + ' stands out');
        for (const other of labels.slice(index + 1)) {
          const isApart = box.right <= other.box.left || other.box.right <= box.left
            || box.bottom <= other.box.top || other.box.bottom <= box.top;
          if (!isApart) found.push(card.ariaLabel + ': ' + text + ' on ' + other.text);
        }
      }
    }
    return found;
  })()`);
}

describe('charts (issue 12.6)', () => {
  itWithTool('chromium', 'have scales with units and few labels', async () => {
    const seen = await look(await Stand.open());
    await seen.sees(seen.page.getByText('10/s', { exact: true }));
    const times = ['now', '−1 min', '−2 min'];
    expect(await scales(seen, 'Requests per second')).toEqual([['0', '5/s', '10/s'], times]);
    expect(await scales(seen, 'Latency')).toEqual([['0', '0.5 ms', '1 ms'], times]);
    expect(await scales(seen, 'Queued')).toEqual([
      ['0', '10'],
      ['now', '−2 min'],
    ]);
    expect(await scales(seen, 'Event loop')).toEqual([
      ['0', expect.stringMatching(/^\d+ m?s$/)],
      ['now', '−2 min'],
    ]);
  });

  itWithTool('chromium', 'are readable in both themes, on a desktop and on a phone', async () => {
    const stand = await Stand.open();
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const width of [360, 800, 1280]) {
        const seen = await look(stand, '', { colorScheme, viewport: { width, height: 800 } });
        await seen.sees(seen.page.getByText('10/s', { exact: true }));
        expect([colorScheme, width, await collisions(seen)]).toEqual([colorScheme, width, []]);
        expect(await contrast(seen)).toBeGreaterThan(4.5);
      }
    }
  });

  itWithTool('chromium', 'adapt their time span and scales to the samples', async () => {
    const stand = await Stand.open();
    const seen = await look(stand);
    await seen.sees(seen.page.locator('#state', { hasText: 'active' }));
    await seen.page.route('**/api/v1/overview?*', async (route) => {
      const response = await route.fetch();
      const overview = (await response.json()) as {
        readonly columns: readonly string[];
        readonly samples: readonly (number | null)[][];
      };
      const { columns } = overview;
      const samples = overview.samples.flatMap((row) =>
        [540_000, 0].map((ago) =>
          row.map((value, index) => {
            if (columns[index] === 'at') return (value ?? 0) - ago;
            return columns[index] === 'p99Ms' ? 420_000 : (value ?? 0) + 12_345_678;
          }),
        ),
      );
      await route.fulfill({ response, json: { ...overview, samples } });
    });
    await seen.page.reload();
    await seen.sees(seen.page.getByText('20M/s', { exact: true }));
    const [heights, times] = await scales(seen, 'Requests per second');
    expect(heights).toEqual(['0', '10M/s', '20M/s']);
    expect(times?.slice(0, 3)).toEqual(['now', '−2 min', '−4 min']);
    expect(await scales(seen, 'Latency')).toEqual([['0', '2.5 h', '5 h'], times]);
    expect(await collisions(seen)).toEqual([]);
    await seen.page.unrouteAll({ behavior: 'wait' });
  });

  itWithTool('chromium', 'share one cursor and one zoom', async () => {
    const stand = await Stand.open();
    await stand.works('echo');
    const seen = await look(stand);
    await stand.whileAsking('echo', async () => {
      await seen.draws('Requests per second', 'replied');
    });
    const plot = seen.page.getByLabel('Requests per second', { exact: true }).locator('.u-over');
    const box = await plot.boundingBox();
    if (box === null) throw new Error('no chart');
    const [right, middle] = [box.x + box.width - 2, box.y + box.height / 2];
    await seen.page.mouse.move(right, middle);
    const clocks = seen.page.locator('.chart-at').filter({ hasText: /^\d\d:\d\d:\d\d$/ });
    // All charts but the one of the store, which has no cursor.
    await seen.counts(clocks, 9);
    expect(new Set(await clocks.allTextContents()).size).toBe(1);
    await seen.page.mouse.move(right - box.width / 2, middle);
    await seen.page.mouse.down();
    await seen.page.mouse.move(right - box.width / 4, middle, { steps: 4 });
    await seen.page.mouse.up();
    await seen.sees(seen.button('Reset zoom'));
    for (const chart of ['Requests per second', 'Latency', 'Event loop']) {
      const [, times] = await scales(seen, chart);
      expect(times).toEqual([expect.stringMatching(/:/), expect.stringMatching(/:/)]);
    }
    await seen.button('Reset zoom').click();
    expect((await scales(seen, 'Latency'))[1]?.[0]).toBe('now');
  });

  itWithTool('chromium', 'of a service keep what the page has seen of it', async () => {
    const stand = await Stand.open();
    await stand.works('upper');
    for (let n = 0; n < 20; n++) await stand.client.request('upper', 'x');
    const seen = await look(stand, '#/services');
    // As if the page had been open for half an hour: later answers are as they are.
    await seen.page.route(
      '**/api/v1/services/history?*',
      async (route) => {
        const response = await route.fetch();
        const history = (await response.json()) as {
          readonly samples: readonly (number | null)[][];
          readonly next: number;
        };
        const [first = []] = history.samples;
        const earlier = [[Date.now() - 1_800_000, ...first.slice(1)]];
        const samples = [...earlier, ...history.samples];
        await route.fulfill({ response, json: { ...history, samples } });
      },
      { times: 1 },
    );
    await seen.goes('#/services/upper?span=all');
    await seen.sees(seen.page.getByText('−30 min').first());
    await seen.goes('#/services');
    await seen.sees(seen.row('upper'));
    await seen.goes('#/services/upper?span=all');
    await seen.sees(seen.page.getByText('−30 min').first());
    await seen.goes('#/services/upper');
    await seen.sees(seen.page.getByText('−10 min').first());
    await seen.page.unrouteAll({ behavior: 'wait' });
  });

  itWithTool(
    'chromium',
    'show all samples that the page has on demand, which the address keeps',
    async () => {
      const stand = await Stand.open();
      const seen = await look(stand);
      await seen.sees(seen.page.locator('#state', { hasText: 'active' }));
      await seen.page.route('**/api/v1/overview?*', async (route) => {
        const response = await route.fetch();
        const overview = (await response.json()) as {
          readonly samples: readonly (number | null)[][];
        };
        const samples = overview.samples.flatMap((row) =>
          [1_800_000, 0].map((ago) => [(row[0] ?? 0) - ago, ...row.slice(1)]),
        );
        await route.fulfill({ response, json: { ...overview, samples } });
      });
      await seen.page.reload();
      await seen.sees(seen.page.getByText('−10 min').first());
      await seen.page.getByLabel('Time span').selectOption('All that is kept');
      await seen.sees(seen.page.getByText('−30 min').first());
      expect(seen.page.url()).toContain('span=all');
      await seen.page.unrouteAll({ behavior: 'wait' });
    },
  );
});
