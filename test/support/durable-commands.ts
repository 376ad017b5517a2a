/** The operator of a broker's stored requests, by command; and what the commands do on every store. */
import type { Client } from '../../src/sdk/client.js';
import { ServiceError, Worker } from '../../src/sdk/worker.js';
import { type Finished, run } from './child.js';
import { clientOf, serve } from './daemon-users.js';
import { type Daemon, startDaemon } from './daemon.js';
import { httpOf, tokenOf } from './http.js';
import { until } from './until.js';
import { PATIENCE_MS } from './patience.js';

/** For the daemon of a `Post`. */
export const HTTP = 'http.listen=127.0.0.1:0';
const HOSTILE = 'evil\u001b[2J%\u0000';
const SHOWN = 'evil%1B[2J%25%00';

export interface Item {
  readonly uuid: string;
  readonly state: string;
}

/** A daemon with HTTP, and its operator. */
export class Post {
  readonly daemon: Daemon;
  readonly client: Client;

  constructor(daemon: Daemon) {
    this.daemon = daemon;
    this.client = clientOf(daemon);
  }

  static async open(...sets: readonly string[]): Promise<Post> {
    return new Post(await startDaemon({ sets: [HTTP, ...sets] }));
  }

  /** Runs the command with the daemon's address and the token. */
  durable(...args: readonly string[]): Promise<Finished> {
    const environment = { MAJORDOMO_TOKEN: tokenOf(this.daemon) };
    return run(['durable', ...args, '--admin', httpOf(this.daemon)], { environment });
  }

  async done(...args: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.durable(...args);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    return stdout;
  }

  async listed(...args: readonly string[]): Promise<{ items: Item[]; next: string | null }> {
    return JSON.parse(await this.done('ls', '-o', 'json', ...args)) as {
      items: Item[];
      next: string | null;
    };
  }

  async submits(service: string, count: number, options: object = {}): Promise<string[]> {
    const jobs = Array.from({ length: count }, () => this.client.submit(service, 'body', options));
    return (await Promise.all(jobs)).map(({ uuid }) => uuid).sort();
  }

  /** Stores this many requests whose only attempt fails. */
  async dead(service: string, count: number): Promise<string[]> {
    const uuids = await this.submits(service, count, { maxAttempts: 1 });
    const worker = new Worker({ endpoints: [this.daemon.endpoint], service }, () =>
      Promise.reject(new ServiceError('out-of-paper', 'it fails', { details: { tray: 2 } })),
    );
    const running = worker.run();
    for (const uuid of uuids) {
      await expect(this.client.job(uuid).result({ timeoutMs: PATIENCE_MS })).rejects.toMatchObject({
        code: 'ERR_SERVICE_FAILED',
      });
    }
    await worker.close({ graceMs: 0 });
    await running;
    return uuids;
  }
}

/**
 * Lists and bulk orders. Call `endAll` in `afterEach`.
 * @param store the `--set` options for a new store
 */
export function describeDurableCommands(
  name: string,
  store: () => Promise<readonly string[]> | readonly string[],
): void {
  const open = async (): Promise<Post> => await Post.open(...(await store()));

  describe(`majordomo durable ls, ${name}`, () => {
    it('shows a filtered table, and JSON; names do nothing to the terminal', async () => {
      const post = await open();
      const [pending = ''] = await post.submits(HOSTILE, 1, { priority: 5 });
      const dead = await post.dead('work', 2);
      const rows = (await post.done('ls', '--service', SHOWN)).trimEnd().split('\n');
      expect(rows.map((row) => row.split(/ {2,}/))).toEqual([
        ['UUID', 'STATE', 'SERVICE', 'PRIORITY', 'FAILED', 'AGE', 'SIZE', 'REASON'],
        [pending, 'pending', SHOWN, '5', '0/10', expect.any(String), expect.any(String), '-'],
      ]);
      const [, failed = ''] = (await post.done('ls', '--service', 'work')).split('\n');
      expect(failed.split(/ {2,}/).at(-1)).toBe('out-of-paper: it fails');
      const { items, next } = await post.listed('--state', 'dead');
      expect(items.map(({ uuid }) => uuid).sort()).toEqual(dead);
      expect(next).toBeNull();
      expect((await post.listed('--older-than', '1h')).items).toEqual([]);
      expect((await post.listed('--state', 'replied')).items).toEqual([]);
    });

    it('stops at --limit, says so, and continues with --cursor', async () => {
      const post = await open();
      await post.submits('work', 5);
      const first = await post.listed('--limit', '3');
      const rest = await post.listed('--cursor', first.next ?? '');
      expect([first.items.length, rest.items.length, rest.next]).toEqual([3, 2, null]);
      const { status, stderr } = await post.durable('ls', '--limit', '3');
      expect({ status, stderr }).toEqual({
        status: 0,
        stderr: `majordomo: there are more: use --limit, or --cursor ${first.next ?? ''}\n`,
      });
    });

    it('tells what a worker has from what waits, also page by page', async () => {
      const post = await open();
      const [taken = ''] = await post.submits('work', 1);
      const seen = serve(post.daemon, 'work', () => new Promise<string>(() => undefined));
      await until(() => seen.length === 1, 'a worker has it');
      const waiting = await post.submits('work', 3);
      const uuidsOf = ({ items }: { items: Item[] }): string[] => items.map(({ uuid }) => uuid);
      expect(uuidsOf(await post.listed('--state', 'dispatched'))).toEqual([taken]);
      const first = await post.listed('--state', 'pending', '--limit', '2');
      const rest = await post.listed('--state', 'pending', '--cursor', first.next ?? '');
      expect([...uuidsOf(first), ...uuidsOf(rest)].sort()).toEqual(waiting);
      expect([first.items.length, rest.next]).toEqual([2, null]);
      const states = (await post.listed('--service', 'work')).items.map(({ state }) => state);
      expect(states.sort()).toEqual(['dispatched', 'pending', 'pending', 'pending']);
    });
  });

  describe(`majordomo durable retry, cancel, purge, ${name}`, () => {
    it('one request: retried, cancelled, and refused with 1 in another state', async () => {
      const post = await open();
      const [uuid = ''] = await post.dead('work', 1);
      expect(await post.done('retry', uuid)).toBe(`${uuid} is pending again\n`);
      expect(await post.durable('retry', uuid)).toMatchObject({
        status: 1,
        stderr: 'majordomo: it is pending: only a dead one can be retried\n',
      });
      expect(JSON.parse(await post.done('cancel', uuid, '-o', 'json'))).toEqual({
        uuid,
        state: 'closed',
      });
      expect((await post.durable('cancel', uuid)).status).toBe(1);
    });

    it('all dead requests of a service, and no others', async () => {
      const post = await open();
      const dead = await post.dead('work', 3);
      const others = await post.dead('other', 2);
      expect(await post.done('retry', '--service', 'work')).toBe('3 retried\n');
      const pending = await post.listed('--state', 'pending');
      expect(pending.items.map(({ uuid }) => uuid).sort()).toEqual(dead);
      const purged = await post.done('purge', '--state', 'dead', '-o', 'json');
      expect(JSON.parse(purged)).toEqual({ count: others.length });
      const left = await post.listed();
      expect(left.items.map(({ uuid }) => uuid).sort()).toEqual(dead);
    });

    it('pending requests if it is told to, and none that a worker has', async () => {
      const post = await open();
      const [taken = ''] = await post.submits('work', 1);
      const seen = serve(post.daemon, 'work', () => new Promise<string>(() => undefined));
      await until(() => seen.length === 1, 'a worker has it');
      await post.submits('work', 3);
      // One that the broker of a shared store is about to claim is left out: the operator purges again.
      let deleted = 0;
      await until(async () => {
        const said = await post.done('purge', '--state', 'pending', '--service', 'work', '--yes');
        expect(said).toMatch(/^\d+ deleted\n$/);
        deleted += parseInt(said, 10);
        return deleted >= 3;
      }, 'all are deleted');
      expect(deleted).toBe(3);
      expect((await post.listed()).items.map(({ uuid }) => uuid)).toEqual([taken]);
    });

    it('only those that are old enough, in the state that was given', async () => {
      const post = await open();
      const dead = await post.dead('work', 2);
      const [replied = ''] = await post.submits('echo', 1);
      serve(post.daemon, 'echo');
      await post.client.job(replied).result({ timeoutMs: PATIENCE_MS });
      expect(await post.done('purge', '--older-than', '1h')).toBe('0 deleted\n');
      expect(await post.done('retry', '--older-than', '1h')).toBe('0 retried\n');
      await until(async () => {
        return (await post.listed('--older-than', '1s')).items.length === 3;
      }, 'they are old enough');
      expect(await post.done('purge', '--state', 'replied', '--older-than', '1s')).toBe(
        '1 deleted\n',
      );
      expect(await post.done('retry', '--service', 'work', '--older-than', '1s')).toBe(
        '2 retried\n',
      );
      const { items } = await post.listed();
      expect(items.map(({ uuid }) => uuid).sort()).toEqual(dead);
      expect(items.map(({ state }) => state)).toEqual(['pending', 'pending']);
    });
  });
}
