/** Alerts that a real Prometheus tells while a real broker is hurt, and that end when it is mended. */
import { join } from 'node:path';

import Database from 'better-sqlite3';

import { Client } from '../../../src/sdk/client.js';
import { run } from '../../support/child.js';
import { atEnd, clientOf, endAll, serve } from '../../support/daemon-users.js';
import { type Daemon, startDaemon } from '../../support/daemon.js';
import { HTTP } from '../../support/durable-commands.js';
import { httpOf } from '../../support/http.js';
import { LONG_TEST_MS } from '../../support/patience.js';
import { Prometheus } from '../../support/prometheus.js';
import { itWithTool } from '../../support/tools.js';
import { WebhookReceiver } from '../../support/webhook-receiver.js';

afterEach(endAll);

async function watch(daemon: Daemon): Promise<Prometheus> {
  return await Prometheus.start(new URL(httpOf(daemon)).host);
}

/** Requests one after the other until the end, whatever comes of them. */
function call(client: Client, service: string): void {
  const over = new AbortController();
  atEnd(() => {
    over.abort();
    return Promise.resolve();
  });
  void (async () => {
    while (!over.signal.aborted) {
      await client.request(service, 'x').catch(() => new Promise((next) => setTimeout(next, 20)));
    }
  })();
}

async function said(daemon: Daemon, ...line: readonly string[]): Promise<string> {
  return (await run([...line, '--admin', httpOf(daemon)], { isEnding: true })).stdout;
}

describe('a real Prometheus', () => {
  itWithTool(
    'prometheus',
    'tells that a worker hangs, as the commands do, and that it answers again',
    async () => {
      const daemon = await startDaemon({ sets: [HTTP] });
      const mended = Promise.withResolvers<string>();
      serve(daemon, 'pay', () => mended.promise, { concurrency: 1000 });
      const rightly = Promise.withResolvers<string>();
      serve(daemon, 'slow', () => rightly.promise);
      const answer = clientOf(daemon).request('slow', 'x');
      for (let n = 0; n < 3; n++) call(clientOf(daemon, { timeoutMs: 300 }), 'pay');
      const prometheus = await watch(daemon);
      const alert = await prometheus.fires('MajordomoServiceNotAnswering', { service: 'pay' });
      expect(alert.labels).toMatchObject({ severity: 'critical' });
      expect(alert.annotations['summary']).toContain('No request for pay is answered');
      expect(alert.annotations['description']).toContain("majordomo services show 'pay'");
      const shown = await said(daemon, 'services', 'show', 'pay');
      expect(shown).toMatch(/^pay: every request fails$/m);
      expect(shown).toContain('given up by its client');
      expect(await said(daemon, 'status')).toMatch(/^failing +pay$/m);
      expect(
        (await prometheus.firing()).filter(({ labels }) => labels['service'] === 'slow'),
      ).toEqual([]);
      mended.resolve('ok');
      await prometheus.clears('MajordomoServiceNotAnswering');
      rightly.resolve('ok');
      expect((await answer).text()).toBe('ok');
    },
    LONG_TEST_MS,
  );

  itWithTool(
    'prometheus',
    'tells that clients find no worker, and that one is back',
    async () => {
      const daemon = await startDaemon({ sets: [HTTP] });
      const client = new Client({
        endpoints: [daemon.endpoint],
        ifNoWorker: 'fail',
        timeoutMs: 2500,
      });
      atEnd(() => client.close());
      call(client, 'fax');
      const prometheus = await watch(daemon);
      // No service of this name is known, so it has no label.
      await prometheus.fires('MajordomoServiceNotAnswering', { service: '__other__' });
      serve(daemon, 'fax');
      await prometheus.clears('MajordomoServiceNotAnswering');
    },
    LONG_TEST_MS,
  );

  itWithTool(
    'prometheus',
    'tells a reason why the broker is degraded, its end, and a crash',
    async () => {
      const daemon = await startDaemon({ sets: [HTTP] });
      const { http } = await daemon.waitFor('broker.ready');
      const prometheus = await watch(daemon);
      const client = clientOf(daemon);
      const fill = async (): Promise<void> => {
        for (let n = 0; n < 6; n++) await client.enqueue('echo', Buffer.alloc(4 * 1024 * 1024));
      };
      await fill();
      const reader = new Database(join(daemon.dataDir, 'titanic.db'), { readonly: true });
      reader.exec('BEGIN');
      reader.prepare('SELECT count(*) FROM requests').get();
      await fill();
      const alert = await prometheus.fires('MajordomoDegraded', { reason: 'store_log_held' });
      expect(alert.labels).toMatchObject({ severity: 'warning' });
      expect(alert.annotations['summary']).toContain('is degraded: store_log_held');
      reader.close();
      await prometheus.clears('MajordomoDegraded');
      expect((await prometheus.firing()).map(({ labels }) => labels['alertname'])).not.toContain(
        'MajordomoCrashed',
      );
      await daemon.kill();
      const sets = [`http.listen=${new URL(String(http)).host}`];
      await startDaemon({ endpoint: daemon.endpoint, dataDir: daemon.dataDir, sets });
      await prometheus.fires('MajordomoCrashed');
    },
    LONG_TEST_MS,
  );

  itWithTool(
    'prometheus',
    'names the receiver that takes no webhooks, and no missing worker',
    async () => {
      const receiver = await WebhookReceiver.open();
      atEnd(() => receiver.close());
      await receiver.close();
      const daemon = await startDaemon({ sets: [HTTP, ...receiver.sets()] });
      serve(daemon, 'echo');
      const prometheus = await watch(daemon);
      const webhook = `${receiver.origin}/done`;
      await clientOf(daemon).enqueue('echo', 'hi', { webhook });
      const host = new URL(receiver.origin).host;
      const alert = await prometheus.fires('MajordomoWebhooksFailing', { host });
      expect(alert.annotations['summary']).toMatch(new RegExp(`not taken by ${host}$`));
      const others = (await prometheus.firing()).map(({ labels }) => labels['alertname']);
      expect(others).toEqual(['MajordomoWebhooksFailing']);
      await receiver.listen();
      // The first one is tried again after a pause.
      await clientOf(daemon).enqueue('echo', 'hi', { webhook });
      await receiver.until(1);
      await prometheus.clears('MajordomoWebhooksFailing');
    },
    LONG_TEST_MS,
  );
});
