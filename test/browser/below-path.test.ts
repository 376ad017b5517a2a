/** The page through nginx, below a path that nginx takes off (docs/http.md). */
import { run } from '../support/child.js';
import { freePorts } from '../support/free-ports.js';
import { documented, killProxies, startNginx } from '../support/proxies.js';
import { itWithTool } from '../support/tools.js';
import { until } from '../support/until.js';
import { cleanUp, closeBrowser, look, openBrowser, Stand } from './support.js';

const TOKEN = 'the-token-of-the-page';
const PROGRAM = `http.tokens=[{name: page, role: request, token: ${TOKEN}, client: [work]}]`;

beforeAll(openBrowser);
afterEach(async () => {
  await cleanUp();
  killProxies();
});
afterAll(closeBrowser);

/** nginx as the document has it, before this daemon. @returns the address of the page, without the last slash */
async function proxied(url: string): Promise<string> {
  const [port = 0] = await freePorts(1);
  const location = documented('nginx').replace('http://127.0.0.1:5580', url);
  await startNginx(`server { listen 127.0.0.1:${port};\n${location}}`);
  const below = `http://127.0.0.1:${port}/mq`;
  await until(async () => (await fetch(`${below}/healthz`).catch(() => null)) !== null, 'nginx');
  return below;
}

describe('the page below a path of a proxy', () => {
  itWithTool('chromium and nginx', 'shows the node, its events, and asks a service', async () => {
    const stand = await Stand.open({ sets: [PROGRAM] });
    await stand.works('work', () => 'done by it');
    const url = await proxied(stand.url);
    const seen = await look({ url });
    await seen.sees(seen.page.locator('#state', { hasText: 'active' }));
    await seen.sees(seen.row('work'));
    await seen.seesText(/service work/);
    await stand.works('later');
    await seen.seesText(/service later/);
    // Without the last slash nginx sends the browser there.
    await seen.page.goto(`${url}#/services/work`);
    await seen.button('Write one').click();
    await seen.page.getByLabel('Body', { exact: true }).fill('x');
    await seen.page.getByLabel('Token with role: request').fill(TOKEN);
    await seen.button('Send').click();
    await seen.seesText(/done by it/);
  });

  itWithTool(
    'chromium and nginx',
    'a program is told where the result of its request is',
    async () => {
      const stand = await Stand.open({ sets: [PROGRAM] });
      const url = await proxied(stand.url);
      const headers = { authorization: `Bearer ${TOKEN}` };
      const path = `${url}/api/v1/services/work/requests?durable=true`;
      const stored = await fetch(path, { method: 'POST', headers, body: 'x' });
      const place = new URL(stored.headers.get('location') ?? '', url);
      const result = await fetch(place, { headers });
      expect([stored.status, place.pathname, result.status]).toEqual([
        202,
        expect.stringMatching(/^\/mq\/api\/v1\//),
        202,
      ]);
    },
  );

  itWithTool('chromium and nginx', 'the command reaches the node there, too', async () => {
    const stand = await Stand.open();
    const url = await proxied(stand.url);
    const { status, stdout } = await run(['status', '--admin', url]);
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^node +left\n/)]);
  });
});
