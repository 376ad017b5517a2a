import type { Clients } from '../../../src/admin/api/node-answers.js';
import { Client } from '../../../src/sdk/client.js';
import { Child, run } from '../../support/child.js';
import { ask, httpOf, tokenOf } from '../../support/http.js';
import { endStands, openStand } from '../../support/programs.js';
import { until } from '../../support/until.js';

afterEach(endStands);

it('shows token holders who floods before a limit is hit, over HTTP and with majordomo clients', async () => {
  const stand = await openStand('{}', 'titanic.enabled=true');
  const { daemon } = stand;
  const token = tokenOf(daemon);
  const path = `${stand.url}/clients`;
  expect((await ask(path)).status).toBe(401);
  // A program stores, and another one sends requests that wait.
  await stand.request('x'.repeat(5000), {}, '?durable=true');
  await using client = new Client({ endpoints: [daemon.endpoint], timeoutMs: 60_000 });
  const waiting = Array.from({ length: 20 }, () => client.request('idle', 'hi').catch(() => null));
  const clientsBy = async (by: string): Promise<Clients> =>
    (await ask(`${path}?by=${by}`, { token })).json as Clients;
  await until(
    async () => (await clientsBy('outstanding')).items[0]?.outstanding === 20,
    'all of them wait',
  );
  const { items, total } = await clientsBy('outstanding');
  expect(total).toBe(2);
  expect(items[0]).toMatchObject({ kind: 'address', name: '127.0.0.1', stored: null });
  expect(items[0]?.requestsPerSecond).toBeGreaterThan(1);
  const [first] = (await clientsBy('stored')).items;
  expect(first).toMatchObject({ kind: 'token', name: 'shop', stored: 1, quota: 'shop' });
  expect(first?.storedBytes).toBeGreaterThan(5000);
  expect((await ask(`${path}?by=name`, { token })).status).toBe(400);

  const at = ['--admin', httpOf(daemon), '--token', token];
  const text = await run(['clients', ...at]);
  expect(text).toMatchObject({ status: 0, stderr: '' });
  expect(text.stdout).toMatch(
    /^CLIENT +KIND +REQUESTS\/S +REFUSED\/S +OUTSTANDING +STORED +STORED BYTES/,
  );
  expect(text.stdout).toMatch(/^127\.0\.0\.1 +address +\d\S* +0\.0 +20 +- +- /m);
  expect((await run(['clients', '--by', 'stored', '-o', 'name', ...at])).stdout).toBe(
    'shop\n127.0.0.1\n',
  );
  const few = await run(['clients', '--limit', '1', ...at]);
  expect(few.stdout).toMatch(/^127\.0\.0\.1 [^]*^and 1 other$/m);
  const watching = new Child(['clients', '--watch', '-o', 'json', ...at]);
  await watching.until(({ stdout }) => stdout.includes('"shop"'), 'who is there');
  await watching.kill();
  expect((await run(['clients', '--admin', httpOf(daemon)])).status).not.toBe(0);
  await client.close();
  await Promise.all(waiting);
});
