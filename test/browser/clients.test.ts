import { itWithTool } from '../support/tools.js';
import { cleanUp, closeBrowser, look, openBrowser, Stand } from './support.js';

beforeAll(openBrowser);
afterEach(cleanUp);
afterAll(closeBrowser);

describe('the clients on the page (issue 55)', () => {
  itWithTool('chromium', 'shows the busiest first, to those with a token', async () => {
    const stand = await Stand.open({ sets: ['titanic.enabled=true'] });
    await stand.client.submit('later', 'x'.repeat(2000));
    const seen = await look(stand, '#/clients');
    await seen.seesText('Names and addresses of clients need a token.');
    await seen.enters(stand.token);
    await seen.readsCell('127.0.0.1', 'Connections', '1');
    await seen.readsCell('127.0.0.1', 'Quota', 'default');
    await seen.readsCell('without a key', 'Durable', '1');
    const first = seen.page.locator('main tbody tr').first();
    await seen.page.getByLabel('Which clients come first').selectOption('Most stored bytes');
    await seen.sees(first.getByText('without a key'));
    expect(seen.page.url()).toContain('by=stored');
    await seen.page.setViewportSize({ width: 390, height: 844 });
    const heads = ['Client', 'Requests', 'Outstanding', 'Stored'];
    await seen.reads(seen.page.locator('th'), heads);
    expect(await seen.page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(
      true,
    );
    expect(await seen.page.getByText('More to the right →').isVisible()).toBe(false);
  });
});
