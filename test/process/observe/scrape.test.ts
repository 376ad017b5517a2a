import { join } from 'node:path';

import Database from 'better-sqlite3';

import { Client } from '../../../src/sdk/client.js';
import { Worker } from '../../../src/sdk/worker.js';
import { METRICS } from '../../../src/admin/metrics/metric-table.js';
import { type Daemon, removeDaemons, startDaemon } from '../../support/daemon.js';
import { ask, httpOf, type Reply } from '../../support/http.js';
import { MetricsPage } from '../../support/metrics.js';
import { PATIENCE_MS } from '../../support/patience.js';

/** The module of the process's metrics cannot be read. */
const WITHOUT_FILE = `
import fs from 'node:fs';
const { readFileSync } = fs;
fs.readFileSync = (path, ...rest) => {
  if (String(path).includes('process-metrics')) throw new Error('no process-metrics');
  return readFileSync(path, ...rest);
};`;

afterEach(removeDaemons);

async function scrapeOver(daemon: Daemon): Promise<MetricsPage> {
  const { http } = await daemon.waitFor('broker.ready');
  const response = await fetch(`${String(http)}/metrics`);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  return new MetricsPage(await response.text());
}

describe('a running broker', () => {
  it('serves every metric, and counts its requests (contract §5)', async () => {
    const daemon = await startDaemon({ sets: ['http.listen=127.0.0.1:0', 'node.name=n1'] });
    const endpoints = [daemon.endpoint];
    const worker = new Worker({ endpoints, service: 'echo' }, ({ frames }) => frames);
    const client = new Client({ endpoints });
    try {
      void worker.run();
      await daemon.waitFor('worker.registered');
      for (let count = 0; count < 3; count++) await client.request('echo', 'hi');
      const job = await client.submit('echo', 'stored');
      await job.result({ timeoutMs: PATIENCE_MS });
      const page = await scrapeOver(daemon);
      const served = [...page.families.keys()].filter((name) => name.startsWith('majordomo_'));
      expect(served.sort()).toEqual(
        Object.keys(METRICS)
          .map((name) => `majordomo_${name}`)
          .sort(),
      );
      expect(page.counted('ready', 'requests_replied_total', 'ha_state', 'ha_role')).toEqual({
        ready: 1,
        'requests_replied_total{service="echo"}': 3,
        'ha_state{state="active"}': 1,
        'ha_role{role="standalone"}': 1,
      });
      expect(page.counted('titanic_accepted_total', 'titanic_completed_total')).toEqual({
        'titanic_accepted_total{service="echo"}': 1,
        'titanic_completed_total{service="echo"}': 1,
      });
      expect(page.value('titanic_requests{service="echo",state="replied"}')).toBe(1);
      expect(page.value('titanic_commit_batch_size_count')).toBeGreaterThanOrEqual(2);
      expect(page.value('titanic_commit_duration_seconds_count')).toBe(
        page.value('titanic_commit_batch_size_count'),
      );
      expect(page.value('titanic_store_bytes')).toBeGreaterThan(0);
      expect(page.value('up_seconds')).toBeGreaterThan(0);
      await job.close();
      expect(
        (await scrapeOver(daemon)).value('titanic_requests{service="echo",state="replied"}'),
      ).toBe(0);
    } finally {
      await worker.close();
      await client.close();
    }
  });

  it('compresses its metrics for those who take that', async () => {
    const daemon = await startDaemon({ sets: ['http.listen=127.0.0.1:0'] });
    const url = `${httpOf(daemon)}/metrics`;
    const scraped = (accepted?: string): Promise<Reply> =>
      ask(url, { headers: accepted === undefined ? {} : { 'accept-encoding': accepted } });
    const gzip = { 'content-encoding': 'gzip', vary: 'accept-encoding' };
    for (const accepted of ['gzip', 'br;q=1, GZIP; q=0.5', '*']) {
      expect((await scraped(accepted)).headers).toMatchObject(gzip);
    }
    for (const accepted of [undefined, 'br, deflate', 'gzip;q=0', 'gzip; q=0.000, *', '*;q=0']) {
      const { headers, text } = await scraped(accepted);
      expect(headers).not.toHaveProperty('content-encoding');
      expect(headers.vary).toBe('accept-encoding');
      expect(text).toContain('\nmajordomo_ready 1\n');
    }
    // This one takes gzip.
    expect((await scrapeOver(daemon)).value('ready')).toBe(1);
  });

  it('is degraded while a stranger keeps the store from being written', async () => {
    const daemon = await startDaemon({ sets: ['http.listen=127.0.0.1:0'] });
    const client = new Client({ endpoints: [daemon.endpoint] });
    const stranger = new Database(join(daemon.dataDir, 'titanic.db'));
    try {
      expect((await scrapeOver(daemon)).value('degraded{reason="store_busy"}')).toBe(0);
      stranger.exec('BEGIN IMMEDIATE');
      await expect(client.submit('echo', 'x')).rejects.toMatchObject({
        code: 'ERR_TITANIC_REFUSED',
      });
      const hurt = await scrapeOver(daemon);
      expect(hurt.value('ready')).toBe(1);
      const reasons = ['store_full', 'store_busy', 'store_failed', 'not_in_sync', 'peer_refused'];
      expect(reasons.map((reason) => hurt.value(`degraded{reason="${reason}"}`))).toEqual([
        0, 1, 0, 0, 0,
      ]);
      stranger.exec('ROLLBACK');
      await daemon.waitFor('store.healed');
      expect((await scrapeOver(daemon)).value('degraded{reason="store_busy"}')).toBe(0);
    } finally {
      stranger.close();
      await client.close();
    }
  });

  it('logs once why metrics of the process are missing, and serves all others', async () => {
    const daemon = await startDaemon({
      sets: ['http.listen=127.0.0.1:0'],
      nodeOptions: ['--import', `data:text/javascript,${encodeURIComponent(WITHOUT_FILE)}`],
    });
    await scrapeOver(daemon);
    const page = await scrapeOver(daemon);
    expect(page.value('ready')).toBe(1);
    expect(page.samples.filter((sample) => sample.startsWith('process_'))).toEqual([]);
    expect(await daemon.waitFor('metrics.partial')).toMatchObject({
      level: 'warn',
      reason: 'no process-metrics',
    });
    await daemon.stop();
    expect(daemon.logged('metrics.partial')).toHaveLength(1);
  });
});
