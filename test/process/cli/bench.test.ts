import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { type Finished, killAll, run } from '../../support/child.js';
import { type Daemon, removeDaemons, startDaemon } from '../../support/daemon.js';
import { freePorts } from '../../support/free-ports.js';

let daemon: Daemon;
/** One of each kind, where nobody listens: they retry for ten seconds, while other cases run. */
let inVain: Readonly<Record<'echo' | 'durable', Promise<Finished>>>;

beforeAll(async () => {
  const [port = 0] = await freePorts(1);
  const at = ['--endpoint', `tcp://127.0.0.1:${port}`, '--seconds', '1'];
  inVain = { echo: run(['bench', ...at]), durable: run(['bench', 'durable', ...at]) };
  daemon = await startDaemon();
});

afterAll(async () => {
  await killAll();
  await removeDaemons();
});

/** The keys of the JSON, in order; `own` are those that only one kind of bench has. */
function keysOf(...own: readonly string[]): string[] {
  const measured = ['seconds', 'requests', 'failed', 'requestsPerSecond', 'latencyUs'];
  return [
    'kind',
    ...own,
    ...['connections', 'outstanding', 'size'],
    ...measured,
    'clientCpuSeconds',
  ];
}

describe('majordomo bench', () => {
  it('measures a closed loop with clients and workers of its own, as JSON', async () => {
    const at = ['--endpoint', daemon.endpoint, '--seconds', '1'];
    const ended = await run(['bench', ...at, '-o', 'json']);
    expect(ended.status).toBe(0);
    const result = JSON.parse(ended.stdout) as Record<string, number | Record<string, number>>;
    expect(Object.keys(result)).toEqual(keysOf('workers', 'concurrency'));
    expect(result['failed']).toBe(0);
    expect(result['requests']).toBeGreaterThan(100);
    expect(result['latencyUs']).toEqual({
      p50: expect.any(Number),
      p99: expect.any(Number),
      'p99.9': expect.any(Number),
      max: expect.any(Number),
    });
  });

  it('measures an open loop at the requested rate', async () => {
    const at = ['--endpoint', daemon.endpoint, '--rate', '200', '--seconds', '1'];
    const ended = await run(['bench', ...at, '-o', 'json']);
    expect(ended.status).toBe(0);
    const { requests, rate, seconds } = JSON.parse(ended.stdout) as Record<string, number>;
    expect(rate).toBe(200);
    // A machine that stalls makes the second longer.
    expect(requests).toBeLessThanOrEqual(400 * (seconds ?? 0));
    expect(requests).toBeGreaterThan(20);
  });

  it('leaves no worker behind', async () => {
    const ended = await run(['workers', '--endpoint', daemon.endpoint, '-o', 'json']);
    expect(JSON.parse(ended.stdout)).toEqual([]);
  });

  it('says that no broker is there, and exits with 69', async () => {
    const ended = await inVain.echo;
    expect(ended.status).toBe(69);
    expect(ended.stderr).toContain('no endpoint accepted a connection');
  });
});

describe('majordomo bench durable', () => {
  it('measures receipts without workers, as JSON', async () => {
    const at = ['--endpoint', daemon.endpoint, '--seconds', '1', '--size', '1024'];
    const ended = await run(['bench', 'durable', ...at, '--outstanding', '8', '-o', 'json']);
    expect(ended.stderr).toBe('');
    expect(ended.status).toBe(0);
    const result = JSON.parse(ended.stdout) as Record<string, number>;
    expect(Object.keys(result)).toEqual(keysOf());
    expect(result).toMatchObject({ kind: 'durable', size: 1024, failed: 0 });
    expect(result['requests']).toBeGreaterThan(10);
  });

  it('measures receipts at a requested rate, and explains the figures', async () => {
    const at = ['--endpoint', daemon.endpoint, '--rate', '100', '--seconds', '1'];
    const ended = await run(['bench', 'durable', ...at]);
    expect(ended.status).toBe(0);
    expect(ended.stdout).toMatch(/^\d+ receipts\/s, .*\n {2}100\/s requested, 4 connections, 16 /);
  });

  it('leaves nothing behind in the store', async () => {
    const ended = await run(['verify', '-o', 'json', join(daemon.dataDir, 'titanic.db')]);
    expect(ended.status).toBe(0);
    const counts = JSON.parse(ended.stdout) as Record<string, number>;
    expect(counts).toMatchObject({ pending: 0, replied: 0, dead: 0, keys: 0 });
  });

  it('refuses options of workers with 64', async () => {
    const ended = await run(['bench', 'durable', '--workers', '2']);
    expect(ended.status).toBe(64);
    expect(ended.stderr).toContain('--workers: bench durable starts no workers');
  });

  it('says that no broker is there, and exits with 69', async () => {
    const ended = await inVain.durable;
    expect(ended.status).toBe(69);
    expect(ended.stderr).toContain('no endpoint accepted a connection');
  });

  it('says that a broker has no Titanic, and exits with 1', async () => {
    const bare = await startDaemon({ sets: ['titanic.enabled=false'] });
    const ended = await run(['bench', 'durable', '--endpoint', bare.endpoint, '--seconds', '1']);
    expect(ended.status).toBe(1);
    expect(ended.stderr).toContain('this broker does not support titanic.request');
  });
});
