import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import {
  DaySeries,
  MINUTE_MS,
  packedRow,
  rowPosition,
  SERIES_BYTES,
} from '../../src/admin/metrics/day-samples.js';
import { startDaemon } from '../support/daemon.js';
import { freePorts } from '../support/free-ports.js';
import { temporaryDirectory } from '../support/daemon.js';
import { itWithTool } from '../support/tools.js';
import { cleanUp, closeBrowser, look, openBrowser, Stand } from './support.js';

beforeAll(openBrowser);
afterEach(cleanUp);
afterAll(closeBrowser);

const WINDOWS = 8;

describe('a page that stays open (issue 82.3)', () => {
  itWithTool(
    'chromium',
    'keeps its charts when the node is restarted, and marks that',
    async () => {
      const [port = 0] = await freePorts(1);
      const sets = [`http.listen=127.0.0.1:${port}`, 'node.name=left'];
      const stand = await Stand.open({ sets });
      await stand.works('echo');
      const seen = await look(stand);
      seen.mayLose = true;
      await stand.whileAsking('echo', () => seen.draws('Requests per second', 'replied'));
      await stand.daemon.kill();
      await seen.seesText('No connection to the daemon');
      const { dataDir, endpoint } = stand.daemon;
      await startDaemon({ dataDir, endpoint, sets });
      await seen.seesText(/^The node was restarted at \d\d:/);
      await seen.gone(seen.page.getByText('No connection to the daemon'));
      // The new process has answered nothing: this is what the one before it did.
      await seen.draws('Requests per second', 'replied');
    },
  );

  itWithTool('chromium', 'names the other node when its own is gone', async () => {
    const stand = await Stand.open();
    const seen = await look(stand);
    seen.mayLose = true;
    const peers = [
      { publicUrl: 'https://right.example.org/', endpoint: 'tcp://right:5556' },
      { publicUrl: null, endpoint: 'tcp://right:5556' },
    ];
    for (const peer of peers) {
      await seen.page.route('**/api/v1/overview?*', async (route) => {
        const response = await route.fetch();
        const now = (await response.json()) as object;
        const json = { ...now, peer: { ...peer, up: true, state: 'passive', inSync: true } };
        await route.fulfill({ response, json });
      });
      await seen.page.reload();
      await seen.sees(seen.page.locator('#state', { hasText: 'active' }));
      await seen.page.unrouteAll({ behavior: 'wait' });
      await seen.page.route('**/api/**', (route) => route.abort());
      const banner = seen.page.locator('#banner', { hasText: 'No connection to the daemon' });
      await seen.sees(banner);
      if (peer.publicUrl === null) {
        await seen.sees(banner.filter({ hasText: 'The other node is at tcp://right:5556.' }));
      } else await seen.sees(banner.locator(`a[href="${peer.publicUrl}"]`));
      await seen.page.unrouteAll({ behavior: 'wait' });
    }
  });

  itWithTool(
    'chromium',
    'is one of eight windows, and none believes that the node is gone',
    async () => {
      const stand = await Stand.open();
      const first = await look(stand, '#/events');
      const pages = [first.page];
      while (pages.length < WINDOWS) pages.push(await first.page.context().newPage());
      await Promise.all(pages.slice(1).map((page) => page.goto(`${stand.url}/#/events`)));
      for (const page of pages) {
        await page.locator('#state', { hasText: 'active' }).waitFor();
      }
      await stand.works('late');
      for (const page of pages) {
        await page.locator('.event', { hasText: 'service late' }).first().waitFor();
        expect(await page.getByText('No connection').count()).toBe(0);
      }
      const live = await Promise.all(pages.map((page) => page.getByText(/^live/).count()));
      expect(live.filter((count) => count > 0)).toHaveLength(3);
      // Whoever is next gets the place of one that goes.
      await pages[live.findIndex((count, index) => count > 0 && index > 0)]?.close();
      const open = pages.filter((page) => !page.isClosed());
      const isLive = (): Promise<boolean> =>
        Promise.all(open.map((page) => page.getByText(/^live/).count())).then(
          (counts) => counts.filter((count) => count > 0).length === 3,
        );
      while (!(await isLive())) await open[0]?.waitForTimeout(100);
    },
  );

  itWithTool('chromium', 'says that a view is loading, and why it is not loaded', async () => {
    const stand = await Stand.open();
    await stand.works('echo');
    const seen = await look(stand, '#/events');
    seen.mayLose = true;
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    await seen.page.route('**/api/v1/services?*', async (route) => {
      await released;
      await route.fulfill({
        status: 503,
        json: { error: { code: 'X', message: 'it is too busy' } },
      });
    });
    await seen.goes('#/services');
    await seen.seesText('Loading…');
    release();
    await seen.seesText('it is too busy');
    await seen.page.unrouteAll({ behavior: 'wait' });
    await seen.button('Try again').click();
    await seen.sees(seen.row('echo'));
  });

  itWithTool('chromium', 'counts ages by the clock of the node', async () => {
    const stand = await Stand.open();
    await stand.client.submit('later', 'x');
    const seen = await look(stand, '#/map');
    await seen.page.addInitScript(`{
      const { now } = Date;
      Date.now = () => now() + 7_200_000;
    }`);
    await seen.page.reload();
    await seen.goes('#/durable');
    await seen.sees(seen.row('later'));
    await seen.sees(seen.row('later').locator('td', { hasText: /^\d+ (s|min)$/ }));
  });

  itWithTool('chromium', 'shows the night in the morning', async () => {
    const dataDir = temporaryDirectory();
    const hours = 3;
    const minute = Math.floor(Date.now() / MINUTE_MS) - hours * 60;
    const series = new DaySeries();
    const head = series.head();
    const position = series.find('') ?? 0;
    const row = packedRow(minute, [40, 40, 0, 2, 2, 2, 0, 0, 1, 0, 1, 0, 0, 0, 0]);
    const file = Buffer.alloc(position + SERIES_BYTES);
    head.copy(file);
    for (let at = minute; at < minute + 30; at++) {
      row.writeUInt32LE(at, 0);
      row.copy(file, position + rowPosition(at));
    }
    writeFileSync(join(dataDir, 'samples.day'), file, { mode: 0o600 });
    const stand = await Stand.open({ dataDir });
    const seen = await look(stand);
    await seen.sees(seen.page.locator('.chart'));
    await seen.page.getByLabel('Time span').selectOption('Last day');
    await seen.draws('Requests per second', 'replied');
    await seen.seesText('−18 h');
    expect(seen.page.url()).toContain('span=day');
  });
});
