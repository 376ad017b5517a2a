import { SharedMap } from '../../src/sdk/map.js';
import { mapOf, MAPS } from '../support/map-endpoint.js';
import { itWithTool } from '../support/tools.js';
import { cleanUp, closeBrowser, look, openBrowser, Stand } from './support.js';

beforeAll(openBrowser);
afterEach(cleanUp);
afterAll(closeBrowser);

const ARABIC = '/workers/مرحبا';
const HOSTILE = '<img src=x onerror=alert(1)>\u001b[31m\u202e';

describe('the map on the page (issue 37)', () => {
  itWithTool('chromium', 'says why there is nothing', async () => {
    const without = await look(await Stand.open(), '#/map');
    await without.seesText('This node has no map. To have one, set');
    const stand = await Stand.open({ sets: [MAPS] });
    const seen = await look(stand, '#/map');
    await seen.seesText('Keys and values of the map need a token.');
    await seen.enters(stand.token);
    await seen.seesText('Nothing is set yet. A program sets a key with');
  });

  itWithTool(
    'chromium',
    'has keys, values, who set them and when they expire, as harmless text',
    async () => {
      const stand = await Stand.open({ sets: [MAPS] });
      await using map = new SharedMap({ endpoints: [mapOf(stand.daemon)] });
      await map.set('/config/limit', '100');
      await map.set('/hostile', HOSTILE);
      await map.set('/long', 'x'.repeat(5000));
      await map.set(ARABIC, Buffer.from([0, 0xff]), { ttlMs: 600_000 });
      const seen = await look(stand, '#/map');
      await seen.enters(stand.token);
      await seen.readsCell('/config/limit', 'Value', '100');
      await seen.readsCell('/config/limit', 'Set by', '127.0.0.1');
      await seen.readsCell('/config/limit', 'Expires in', 'never');
      await seen.readsCell('/hostile', 'Value', HOSTILE.replaceAll(/[\u001b\u202e]/g, '\uFFFD'));
      await seen.readsCell('/long', 'Value', `${'x'.repeat(200)}…`);
      await seen.readsCell('/long', 'Size', '4.88 KiB');
      await seen.readsCell(ARABIC, 'Value', 'base64 AP8=');
      await seen.readsCell(ARABIC, 'Expires in', '9 min of 10 min');
      // What is set while one looks, and by whom, appears by itself.
      await map.set('/config/limit', '200');
      await seen.readsCell('/config/limit', 'Value', '200');
    },
  );

  itWithTool('chromium', 'is searched, page by page, and the address keeps it', async () => {
    const stand = await Stand.open({ sets: [MAPS] });
    await using map = new SharedMap({ endpoints: [mapOf(stand.daemon)] });
    const names = Array.from({ length: 60 }, (_, index) => `/a/${index}`);
    await Promise.all([...names, ARABIC, '/100%'].map((name) => map.set(name, 'x')));
    const seen = await look(stand, '#/map');
    await seen.enters(stand.token);
    const rows = seen.page.locator('main tbody tr');
    await seen.counts(rows, 50);
    // In order, those of programs first.
    await seen.seesText('62 keys');
    await seen.reads(rows.first().locator('.name'), ['/100%']);
    await seen.button('Next').click();
    await seen.counts(rows, 12);
    await seen.page.goBack();
    await seen.counts(rows, 50);
    const field = seen.page.getByRole('searchbox');
    await field.fill('/a/5');
    // 5, and 50 to 59.
    await seen.counts(rows, 11);
    expect(seen.page.url()).toContain('key=');
    await seen.page.reload();
    await seen.counts(rows, 11);
    await field.fill('مرح');
    await seen.seesText('No key of the map matches مرح.');
    await seen.page.getByLabel('How the key matches').selectOption('Has');
    await seen.counts(rows, 1);
    await field.fill('0%');
    await seen.counts(rows, 1);
    await seen.sees(seen.row('/100%'));
    await field.fill('zzz');
    await seen.link('Show all').click();
    await seen.counts(rows, 50);
  });
});
