import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { Child, run } from '../../support/child.js';
import { Daemon, removeDaemons, temporaryDirectory } from '../../support/daemon.js';
import { ask, httpOf } from '../../support/http.js';
import { until } from '../../support/until.js';

afterEach(removeDaemons);

/** A listener whose keys are in that directory. */
function listenerOf(keys: string): string {
  const curve = `{secretKeyFile: ${join(keys, 'broker.key')}, keysFile: ${join(keys, 'keys.yaml')}}`;
  return `[{endpoint: "tcp://127.0.0.1:0", curve: ${curve}}]`;
}

/** `serve --init`, ready; its messages are in its standard error. */
async function serveInit(keys: string): Promise<Daemon> {
  const daemon = new Daemon({ endpoint: listenerOf(keys), flags: ['--init'] });
  const { endpoints } = await daemon.waitFor('broker.ready');
  daemon.endpoints = endpoints as string[];
  return daemon;
}

function read(keys: string, name: string): string {
  return readFileSync(join(keys, name), 'utf8').trim();
}

describe('majordomo serve --init', () => {
  it('creates the keys that listeners name and a client key, with which a client is served', async () => {
    const keys = join(temporaryDirectory(), 'below', 'keys');
    const daemon = await serveInit(keys);
    expect(readdirSync(keys).sort()).toEqual([
      'broker.key',
      'broker.key.pub',
      'client.key',
      'client.key.pub',
      'keys.yaml',
    ]);
    for (const name of ['broker.key', 'client.key', 'keys.yaml']) {
      expect([name, statSync(join(keys, name)).mode & 0o777]).toEqual([name, 0o600]);
    }
    expect(statSync(keys).mode & 0o777).toBe(0o700);
    await daemon.until(
      ({ stderr }) => stderr.includes('--curve-server-key'),
      'what a client needs',
    );
    expect(daemon.stderr).toContain(join(keys, 'client.key'));
    expect(daemon.stderr).toContain(`--curve-server-key '${read(keys, 'broker.key.pub')}'`);
    for (const secret of [read(keys, 'broker.key'), read(keys, 'client.key')]) {
      expect(daemon.stdout + daemon.stderr).not.toContain(secret);
    }
    const line = ['--endpoint', daemon.endpoint, '--curve-key-file', join(keys, 'client.key')];
    const serverKey = ['--curve-server-key', read(keys, 'broker.key.pub')];
    const answer = await run(['request', 'mmi.service', 'echo', ...line, ...serverKey]);
    expect(answer).toMatchObject({ status: 0, stdout: '404\n' });
  });

  it('creates the keys that events.listen names, with which a client subscribes', async () => {
    const keys = join(temporaryDirectory(), 'keys');
    const listen = listenerOf(keys).slice(1, -1);
    const sets = [`events.listen=${listen}`, 'http.listen=127.0.0.1:0'];
    const daemon = new Daemon({ flags: ['--init'], sets });
    const { events } = await daemon.waitFor('broker.ready');
    expect(readdirSync(keys)).toHaveLength(5);
    await daemon.until(({ stderr }) => stderr.includes('--curve-server-key'), 'what it needs');
    expect(daemon.stderr).toContain(join(keys, 'client.key'));
    expect(daemon.stderr).toContain(`--curve-server-key '${read(keys, 'broker.key.pub')}'`);
    const line = ['--events', String(events), '--curve-key-file', join(keys, 'client.key')];
    const serverKey = ['--curve-server-key', read(keys, 'broker.key.pub')];
    const child = new Child([
      'events',
      'no.such.event',
      '--timeout-ms',
      '60000',
      ...line,
      ...serverKey,
    ]);
    await until(async () => {
      const { text } = await ask(`${httpOf(daemon)}/metrics`);
      return /^majordomo_stream_subscribers 1$/m.test(text);
    }, 'the subscriber');
    child.signal('SIGTERM');
    expect(await child.finished()).toMatchObject({ stderr: '' });
  });

  it('keeps existing files, and creates missing ones', async () => {
    const keys = join(temporaryDirectory(), 'keys');
    await (await serveInit(keys)).stop();
    const made = readdirSync(keys).map((name) => [name, read(keys, name)]);
    const again = await serveInit(keys);
    expect(readdirSync(keys).map((name) => [name, read(keys, name)])).toEqual(made);
    expect(again.stderr).not.toContain('Created keys');
    await again.stop();
    rmSync(join(keys, 'keys.yaml'));
    await serveInit(keys);
    expect(readdirSync(keys).map((name) => [name, read(keys, name)])).toEqual(made);
  });

  it('finishes what a full disk broke off, so that its client is served', async () => {
    const keys = join(temporaryDirectory(), 'keys');
    // The keys fit, the keys file does not.
    const before = 'prlimit --fsize=100 --pid $$';
    const broken = new Daemon({ endpoint: listenerOf(keys), flags: ['--init'], before });
    const { status, stderr } = await broken.finished();
    expect({ status, stderr }).toMatchObject({
      status: 74,
      stderr: expect.stringContaining(`${join(keys, 'keys.yaml')}: EFBIG`),
    });
    expect(readdirSync(keys)).toHaveLength(4);
    await (await serveInit(keys)).stop();
    expect(read(keys, 'keys.yaml')).toContain(read(keys, 'client.key.pub'));
  });

  it('is suggested by serve, which ends with 78, if a key file is missing', async () => {
    const keys = join(temporaryDirectory(), 'keys');
    for (const name of ['broker.key', 'keys.yaml']) {
      const file = join(keys, name);
      rmSync(file, { force: true });
      const daemon = new Daemon({ endpoint: listenerOf(keys) });
      expect(await daemon.finished()).toMatchObject({
        status: 78,
        stderr: `majordomo: ${file}: no such file; \`majordomo serve --init\`, with the same options, creates the missing files\n`,
      });
      await (await serveInit(keys)).stop();
    }
  });

  it('does not create the keys of a pair', async () => {
    const file = join(temporaryDirectory(), 'primary.key');
    const curve = `{secretKeyFile: ${file}, keysFile: ${file}.yaml, serverKey: '${'0'.repeat(40)}'}`;
    const sets = ['role=primary', 'listen=tcp://127.0.0.1:1', 'peer=tcp://127.0.0.1:2'];
    const pair = [...sets, `curve=${curve}`].map((set) => `bstar.${set}`);
    const daemon = new Daemon({ sets: pair });
    expect(await daemon.finished()).toMatchObject({
      status: 78,
      stderr: `majordomo: ${file}: no such file; \`majordomo keygen --pair DIR\` creates the files of both nodes\n`,
    });
  });
});
