import { z } from 'zod';

import { service } from '../../src/sdk/client.js';
import { Worker } from '../../src/sdk/worker.js';
import { silent } from '../support/silent.js';
import { itWithTool } from '../support/tools.js';
import { cleanUp, closeBrowser, look, openBrowser, Stand } from './support.js';

beforeAll(openBrowser);
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.close({ graceMs: 0 })));
  await cleanUp();
});
afterAll(closeBrowser);

const workers: Worker[] = [];

/** A worker of `pay` that announces this. */
async function offer(
  stand: Stand,
  version: string,
  description: string,
  fields: z.ZodRawShape,
): Promise<void> {
  const contract = service('pay', { description, input: z.object(fields) }, { version });
  const services = { pay: () => 'paid' };
  const { endpoint: endpoints } = stand.daemon;
  const worker = new Worker({ endpoints, contract, services, name: `pay-${version}` });
  workers.push(worker);
  await silent(worker).ready;
}

describe('contracts on the page of a service', () => {
  itWithTool('chromium', 'are side by side, and what differs is marked', async () => {
    const stand = await Stand.open();
    await stand.works('plain');
    const evil = '<img src=x onerror=alert(1)>';
    await offer(stand, '1.0', `${evil}\u202e`, { amount: z.string() });
    const seen = await look(stand, '#/services/pay');
    const table = seen.page.getByRole('table', { name: 'Parts of the contract' });
    const cells = (part: string): ReturnType<typeof table.locator> =>
      table.locator(`tr:has(td:first-child .reason:text-is("${part}")) td`);
    await seen.reads(cells('description'), ['description ', `${evil}\uFFFD`]);
    await seen.seesText('version 1.0, 1 worker: pay-1.0');
    const many = Array.from({ length: 205 }, (_, at) => [`f${at}`, z.string()] as const);
    await offer(stand, '2.0', `${evil}\u202e`, Object.fromEntries(many));
    await seen.seesText('version 2.0, 1 worker: pay-2.0');
    await seen.reads(cells('description'), ['description ', `${evil}\uFFFD`, `${evil}\uFFFD`]);
    await seen.reads(cells('version'), ['version differs', '1.0', '2.0']);
    await seen.reads(cells('input.f1'), ['input.f1 differs', '–', 'string, required']);
    await seen.counts(table.locator('tbody tr'), 50);
    await seen.seesText('1–50 of 209');
    expect(await seen.axe()).toEqual([]);
    await seen.goes('#/services/plain');
    await seen.sees(seen.page.getByRole('table', { name: 'Workers' }));
    await seen.counts(table, 0);
  });
});
