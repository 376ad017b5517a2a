import { startDaemon } from '../support/daemon.js';
import { freePorts } from '../support/free-ports.js';
import { httpOf } from '../support/http.js';
import { itWithTool } from '../support/tools.js';
import { cleanUp, closeBrowser, look, openBrowser, Stand } from './support.js';

beforeAll(openBrowser);
afterEach(cleanUp);
afterAll(closeBrowser);

const HOSTILE = '<img src=x onerror=alert(1)>';

describe('the page (issue 6.2)', () => {
  itWithTool('chromium', 'shows the node, and new events as they happen', async () => {
    const stand = await Stand.open();
    await stand.works('echo');
    const seen = await look(stand);
    await seen.sees(seen.page.locator('#node', { hasText: 'left' }));
    await seen.sees(seen.page.locator('#state', { hasText: 'active' }));
    await seen.sees(seen.row('echo'));
    await seen.seesText(/service echo/);
    await stand.works('resize');
    await seen.seesText(/service resize/);
    await seen.sees(seen.row('resize'));
  });

  itWithTool('chromium', 'draws rates as they change', async () => {
    const stand = await Stand.open();
    await stand.works('echo');
    const seen = await look(stand);
    const rate = seen.page.getByLabel('Requests per second').locator('.value').first();
    await seen.sees(rate.filter({ hasText: /^0$/ }));
    await stand.whileAsking('echo', async () => {
      await seen.sees(rate.filter({ hasText: /^[1-9]/ }));
      await seen.draws('Requests per second', 'replied');
    });
  });

  itWithTool('chromium', 'shows the minutes before it was opened', async () => {
    const stand = await Stand.open();
    await stand.works('echo');
    const first = await look(stand);
    await first.sees(first.page.locator('#state', { hasText: 'active' }));
    // The tile shows the latest second only.
    await stand.whileAsking('echo', async () => {
      await first.sees(first.page.getByLabel('Latency').locator('.value', { hasText: /ms$/ }));
    });
    const second = await look(stand);
    await second.sees(second.page.locator('#state', { hasText: 'active' }));
    await second.sees(second.row('echo'));
    await second.draws('Requests per second', 'replied');
    await second.draws('Latency', 'p50');
  });

  itWithTool(
    'chromium',
    'lists, filters and sorts services, and shows the workers of one',
    async () => {
      const stand = await Stand.open();
      for (const service of ['alpha', 'beta', 'gamma']) await stand.works(service);
      await stand.works('beta');
      const seen = await look(stand, '#/services');
      const names = seen.page.locator('tbody .name');
      await seen.sees(seen.row('gamma'));
      await seen.reads(names, ['alpha', 'beta', 'gamma']);
      await seen.button('Idle').click();
      await seen.reads(names.first(), ['beta']);
      await seen.page.getByRole('searchbox').fill('GAM');
      await seen.gone(seen.row('alpha'));
      await seen.reads(names, ['gamma']);
      await seen.page.getByRole('searchbox').fill('');
      await seen.link('beta').click();
      await seen.sees(seen.page.getByRole('heading', { name: 'beta' }));
      await seen.sees(seen.page.getByRole('table', { name: 'Workers' }));
      await seen.counts(seen.page.locator('tbody tr'), 2);
    },
  );

  itWithTool(
    'chromium',
    'shows names of workers, and to token holders their addresses',
    async () => {
      const stand = await Stand.open();
      await stand.works('pay', undefined, `${HOSTILE}\x1b[2J\n`);
      await stand.works('pay', undefined, '');
      const seen = await look(stand, '#/services/pay');
      const workers = seen.page.getByRole('table', { name: 'Workers' });
      const names = workers.locator('tbody tr td:first-child');
      await seen.counts(names, 2);
      expect((await names.allTextContents()).sort()).toEqual([
        `${HOSTILE}%1B[2J%0A`,
        expect.stringMatching(/^worker \d+$/),
      ]);
      expect(await seen.page.locator('main img').count()).toBe(0);
      expect(await workers.textContent()).not.toContain('127.0.0.1');
      await seen.enters(stand.token);
      await seen.counts(workers.locator('tbody td', { hasText: '127.0.0.1' }), 2);
    },
  );

  itWithTool('chromium', 'shows which service has waiting requests and no worker', async () => {
    const stand = await Stand.open();
    const waiting = stand.client.request('nobody', 'x', { timeoutMs: 20_000 }).catch(() => null);
    const seen = await look(stand, '#/services');
    // A red number says what it means.
    await seen.reads(seen.page.locator('td.bad'), ['0 no worker', '1']);
    await seen.sees(seen.page.locator('td.bad .why', { hasText: 'no worker' }));
    const banner = seen.page.locator('#banner', { hasText: 'No worker' });
    await seen.sees(banner.filter({ hasText: 'nobody, which has no worker.' }));
    await seen.sees(banner.locator('a[href="#/services/nobody"]'));
    await stand.works('nobody');
    await waiting;
    await seen.gone(seen.page.locator('td.bad'));
    await seen.gone(banner);
  });

  itWithTool('chromium', 'counts the stored and dead requests of each service', async () => {
    const stand = await Stand.open();
    await stand.works('pay', () => {
      throw new Error(HOSTILE);
    });
    await stand.submitsDead('pay', 2);
    await stand.client.submit('later', 'x');
    const seen = await look(stand, '#/services');
    await seen.readsCell('pay', 'Dead', '2');
    await seen.sees(seen.row('pay').locator('td.bad', { hasText: '2' }));
    await seen.readsCell('later', 'Pending', '1');
    await seen.readsCell('later', 'Dead', '0');
    // `later` has a due request and no worker; `pay` has no waiting request.
    await seen.reads(seen.row('later').locator('td.bad'), ['0 no worker', '1']);
    await seen.readsCell('pay', 'Workers', '1');
    const dead = seen.page.locator('#banner', { hasText: '2 durable requests failed for good' });
    await seen.sees(dead.locator('a[href="#/durable?state=dead"]'));
    // The view of one service: failures by code, and dead requests to retry.
    await seen.enters(stand.token);
    await seen.goes('#/services/pay');
    const failure = seen.page.getByRole('table', { name: 'Failures by code' }).locator('tbody tr');
    await seen.reads(failure.locator('td').nth(0), ['Error']);
    await seen.reads(failure.locator('td').nth(2), [HOSTILE]);
    const deadOnes = seen.page.getByRole('table', { name: 'Dead requests' }).locator('tbody tr');
    await seen.counts(deadOnes, 2);
    await seen.counts(deadOnes.filter({ hasText: HOSTILE }), 2);
    await seen.sees(seen.page.getByRole('button', { name: 'Retry all dead' }));
    // The node samples single services every four seconds.
    const chart = seen.page.getByLabel('Durable unanswered', { exact: true });
    await seen.reads(chart.locator('.figure .value'), ['0', '2']);
    await seen.goes('#/services/later');
    await seen.reads(chart.locator('.figure .value'), ['1', '0']);
    await seen.gone(deadOnes);
  });

  itWithTool('chromium', 'draws the last minutes of a service', async () => {
    const stand = await Stand.open();
    await stand.works('upper');
    for (let n = 0; n < 20; n++) await stand.client.request('upper', 'x');
    const seen = await look(stand, '#/services/upper');
    await seen.draws('Requests per second', 'replied');
    await seen.reads(
      seen.page.getByLabel('Worker states', { exact: true }).locator('.figure .value'),
      ['1', '0'],
    );
    // Charts without data are hidden.
    await seen.gone(seen.page.getByLabel('Durable unanswered', { exact: true }));
  });

  itWithTool('chromium', 'shows names and reasons of peers as plain text', async () => {
    const stand = await Stand.open();
    const fails = (): never => {
      throw new Error(HOSTILE);
    };
    await stand.works(HOSTILE, fails);
    const [uuid = ''] = await stand.submitsDead(HOSTILE, 1);
    const seen = await look(stand);
    await seen.sees(seen.row(HOSTILE));
    await seen.sees(seen.page.locator('.event', { hasText: 'titanic.died' }));
    for (const place of ['services', 'durable', `durable/${uuid}`, 'events']) {
      await seen.goes(`#/${place}`);
      await seen.seesText(HOSTILE);
      expect(await seen.page.locator('main img').count()).toBe(0);
    }
    await seen.goes('#/services');
    await seen.link(HOSTILE).click();
    await seen.sees(seen.page.getByRole('heading', { name: HOSTILE }));
    expect(await seen.page.locator('main img').count()).toBe(0);
  });

  itWithTool('chromium', 'says that the connection is lost, and reconnects by itself', async () => {
    const [port = 0] = await freePorts(1);
    const sets = [`http.listen=127.0.0.1:${port}`, 'node.name=left'];
    const stand = await Stand.open({ sets });
    const seen = await look(stand);
    seen.mayLose = true;
    await seen.sees(seen.page.locator('#state', { hasText: 'active' }));
    await stand.daemon.kill();
    await seen.seesText('No connection to the daemon');
    const { dataDir, endpoint } = stand.daemon;
    // The page says so for a few seconds only.
    const [again] = await Promise.all([
      startDaemon({ dataDir, endpoint, sets }),
      seen.seesText('The daemon was restarted'),
    ]);
    expect(httpOf(again)).toBe(stand.url);
    await seen.gone(seen.page.getByText('No connection to the daemon'));
    await seen.goes('#/events');
    await seen.seesText(/^live/);
    await new Stand(again).works('late');
    await seen.seesText(/service late/);
    await seen.goes('#/services');
    await seen.sees(seen.row('late'));
  });

  itWithTool('chromium', 'says that the node drains', async () => {
    const stand = await Stand.open({ sets: ['shutdown.graceMs=60000'] });
    let finish = (): void => undefined;
    await stand.works('slow', ({ frames }) => {
      return new Promise((resolve) => {
        finish = () => resolve(frames);
      });
    });
    const seen = await look(stand);
    seen.mayLose = true;
    const reply = stand.client.request('slow', 'x');
    await seen.sees(seen.page.getByLabel('In flight').locator('.value', { hasText: '1' }));
    stand.daemon.signal('SIGTERM');
    await seen.sees(seen.page.locator('#banner', { hasText: 'Draining' }));
    finish();
    await reply;
  });

  itWithTool('chromium', 'shows a full disk or a split pair in the banner', async () => {
    const seen = await look(await Stand.open());
    await seen.sees(seen.page.locator('#state', { hasText: 'active' }));
    // These states are hard to cause, so the test changes the answer of the node.
    const says = async (change: object): Promise<void> => {
      await seen.page.route('**/api/v1/overview?*', async (route) => {
        const response = await route.fetch();
        const overview = (await response.json()) as object;
        await route.fulfill({ response, json: { ...overview, ...change } });
      });
    };
    const text = `durable requests are refused (500): ${HOSTILE}`;
    await says({ degraded: [{ code: 'store_full', text }] });
    const banner = seen.page.locator('#banner .trouble.bad');
    await seen.sees(banner.filter({ hasText: 'Disk full' }).filter({ hasText: HOSTILE }));
    const peer = { endpoint: null, up: true, state: 'active', inSync: false };
    await says({ role: 'primary', peer });
    await seen.sees(banner.filter({ hasText: 'Both nodes of the pair are active' }));
    await seen.page.unrouteAll({ behavior: 'wait' });
    await seen.gone(seen.page.locator('#banner'));
  });

  itWithTool('chromium', 'has no tab and no key for the pair on a standalone node', async () => {
    const seen = await look(await Stand.open());
    await seen.sees(seen.page.locator('#state', { hasText: 'active' }));
    expect(await seen.page.locator('#views a:visible').allTextContents()).toEqual([
      'Overview',
      'Services',
      'Durable',
      'Events',
      'Map',
      'Clients',
    ]);
    await seen.page.keyboard.press('4');
    await seen.sees(seen.page.getByRole('heading', { name: 'Events' }));
    await seen.page.keyboard.press('6');
    expect(seen.page.url()).toContain('#/events');
    await seen.page.keyboard.press('?');
    await seen.sees(seen.page.getByRole('dialog', { name: 'Keyboard' }));
    expect(await seen.page.getByText('show pair').count()).toBe(0);
    await seen.page.keyboard.press('Escape');
    // The address itself works, and says what is missing.
    await seen.goes('#/pair');
    await seen.seesText('This node has no peer');
    expect(await seen.button('Switch over').isVisible()).toBe(false);
    expect(await seen.button('Promote').isVisible()).toBe(false);
  });
});
