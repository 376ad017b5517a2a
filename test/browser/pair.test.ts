import { itWithTool } from '../support/tools.js';
import { cleanUp, closeBrowser, look, openBrowser, openPair } from './support.js';

beforeAll(openBrowser);
afterEach(cleanUp);
afterAll(closeBrowser);

describe('a pair on the page (issue 6.2)', () => {
  itWithTool('chromium', 'is shown from both sides, and handed over with the token', async () => {
    const [left, right] = await openPair();
    const active = await look(left, '#/pair');
    const passive = await look(right, '#/pair');
    // The browser logs the expected 401 and 409 as errors on its console.
    active.mayLose = true;
    await active.sees(active.page.locator('.link', { hasText: 'in sync' }));
    await passive.sees(passive.page.locator('#state', { hasText: 'passive' }));
    await passive.sees(passive.page.locator('#banner', { hasText: 'The other node is at tcp://' }));
    for (const each of [active, passive]) {
      await each.sees(each.link('Pair'));
      expect(await each.button('Promote').isVisible()).toBe(false);
    }
    expect(await passive.button('Switch over').isVisible()).toBe(false);
    await active.button('Switch over').click();
    await active.page.getByRole('dialog').getByRole('button', { name: 'Switch over' }).click();
    await active.page.getByLabel('Token', { exact: true }).fill(left.token);
    await active.page.keyboard.press('Enter');
    await passive.sees(passive.page.locator('#state', { hasText: 'active' }));
    await active.sees(active.page.locator('#state', { hasText: 'passive' }));
    await active.sees(active.row(/passive/));
    expect(await active.button('Switch over').isVisible()).toBe(false);
  });

  itWithTool('chromium', 'offers promotion only while the other node is gone', async () => {
    const [left, right] = await openPair();
    const seen = await look(right, '#/pair');
    await seen.sees(seen.page.locator('.link', { hasText: 'connected' }));
    expect(await seen.button('Promote').isVisible()).toBe(false);
    await left.daemon.kill();
    await seen.sees(seen.button('Promote'));
    expect(await seen.button('Switch over').isVisible()).toBe(false);
  });

  itWithTool(
    'chromium',
    'takes commands for durable requests on the active node only',
    async () => {
      const [left, right] = await openPair();
      const { uuid } = await left.client.submit('later', 'x');
      for (const [stand, isOn] of [
        [left, true],
        [right, false],
      ] as const) {
        const seen = await look(stand, '#/durable');
        await seen.enters(stand.token);
        await seen.sees(seen.row('later'));
        await seen.page.getByRole('checkbox', { name: `Select ${uuid}` }).check();
        await seen.sees(seen.page.getByRole('button', { name: 'Cancel 1', disabled: !isOn }));
        await seen.goes(`#/durable/${uuid}`);
        await seen.sees(seen.page.getByRole('button', { name: 'Cancel', disabled: !isOn }));
      }
    },
  );

  itWithTool('chromium', 'leads from the passive node to the page of the active one', async () => {
    const [left, right] = await openPair((name) => `https://${name}.example/page/`);
    const passive = await look(right);
    await passive.seesText('right is passive: clients and workers use the other node');
    expect(await passive.page.locator('.chart').count()).toBe(0);
    const href = 'https://left.example/page/';
    for (const name of ['Open the page of the other node', 'Open its page']) {
      await passive.sees(passive.link(name));
      expect(await passive.link(name).getAttribute('href')).toBe(href);
    }
    await passive.goes('#/services');
    await passive.sees(passive.link('Open the page of the other node'));
    await passive.goes('#/pair');
    await passive.sees(passive.link(href));
    const active = await look(left);
    await active.sees(active.page.locator('.chart'));
    expect(await active.link('Open the page of the other node').count()).toBe(0);
    active.mayLose = true;
    // Once it serves, it shows its own charts.
    await passive.goes('');
    await passive.sees(passive.link('Open the page of the other node'));
    await left.daemon.stop();
    await passive.sees(passive.page.locator('.chart'));
  });

  itWithTool('chromium', 'says how to get a link if http.publicUrl is not set', async () => {
    const [, right] = await openPair();
    const seen = await look(right);
    await seen.seesText('http.publicUrl');
    expect(await seen.link('Open the page of the other node').count()).toBe(0);
  });

  itWithTool('chromium', 'does not link to a URL that is not HTTP', async () => {
    const [, right] = await openPair();
    const seen = await look(right);
    await seen.sees(seen.page.locator('#state', { hasText: 'passive' }));
    await seen.page.route('**/api/v1/overview?*', async (route) => {
      const response = await route.fetch();
      const overview = (await response.json()) as { readonly peer: object };
      const peer = { ...overview.peer, publicUrl: 'javascript:alert(1)' };
      await route.fulfill({ response, json: { ...overview, peer, node: 'renamed' } });
    });
    await seen.seesText('renamed is passive');
    expect(await seen.page.locator('[href^=javascript]').count()).toBe(0);
    await seen.page.unrouteAll({ behavior: 'wait' });
  });

  itWithTool('chromium', 'shows that the other node died', async () => {
    const [left, right] = await openPair();
    const seen = await look(left, '#/pair');
    await seen.sees(seen.page.locator('.link', { hasText: 'in sync' }));
    await seen.sees(seen.button('Switch over'));
    await right.daemon.kill();
    await seen.sees(seen.page.locator('#banner', { hasText: 'Not in sync' }));
    await seen.sees(seen.page.locator('.link', { hasText: 'no connection' }));
    // No node could take over.
    await seen.gone(seen.button('Switch over'));
    expect(await seen.button('Promote').isVisible()).toBe(false);
  });
});
