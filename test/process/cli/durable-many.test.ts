import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

import { openSqliteStore } from '../../../src/store/sqlite/sqlite-store.js';
import { extraOf } from '../../../src/store/fields.js';
import { encodeHeaders } from '../../../src/wire/headers.js';
import { Child, MAIN } from '../../support/child.js';
import { endAll } from '../../support/daemon-users.js';
import { startDaemon, temporaryDirectory } from '../../support/daemon.js';
import { HTTP, Post } from '../../support/durable-commands.js';
import { ask, httpOf, tokenOf } from '../../support/http.js';
import { accept, dead } from '../../support/store-changes.js';
import { StoreUser } from '../../support/store-user.js';
import { itWithTool } from '../../support/tools.js';
import { until } from '../../support/until.js';

const MANY = 12_000;
const PRINTING = 8000;
const STEP = 5000;
const BATCH = 3000;

afterEach(endAll);

/** A broker with dead requests: two in three of one failure, the others of another. */
async function prepared(): Promise<Post> {
  const dataDir = temporaryDirectory();
  const user = await StoreUser.open(openSqliteStore(join(dataDir, 'titanic.db')));
  const expiresAt = Date.now() + 86_400_000;
  for (let from = 1; from <= MANY; from += BATCH) {
    const numbers = Array.from({ length: BATCH }, (_, at) => from + at);
    const extra = (n: number): Buffer =>
      extraOf(encodeHeaders({ tenant: n <= 10 ? 'acme' : 'other' })) ?? Buffer.alloc(0);
    const service = Buffer.from('bulk.print');
    const reason = (n: number): string =>
      n % 3 === 0 ? `jam: page ${n}` : `out-of-paper: tray ${n} of ${n.toString(16)}aaaaaa0`;
    await user.commit(
      ...numbers.map((n) => ({ ...accept(n, { service, expiresAt }), extra: extra(n) })),
      ...numbers.map((n) => ({ ...dead(n, { expiresAt }), reason: reason(n) })),
    );
  }
  await user.close();
  return new Post(await startDaemon({ dataDir, sets: [HTTP] }));
}

async function deadAt({ daemon }: Post): Promise<number> {
  const { json } = await ask(`${httpOf(daemon)}/api/v1/titanic/counts`);
  return (json as { readonly dead: number }).dead;
}

describe(`majordomo durable, with ${MANY} dead requests of two failures`, () => {
  it('counts them by reason, and retries those of one, after saying how many that are', async () => {
    const post = await prepared();
    const groups = await post.done(
      'ls',
      '--group-by',
      'reason',
      '--service',
      'bulk*',
      '-o',
      'json',
    );
    const parsed = JSON.parse(groups) as { items: { filter: { code: string; pattern: string } }[] };
    const [first] = parsed.items;
    expect(parsed).toEqual({
      items: [
        {
          filter: { code: 'out-of-paper', pattern: 'tray # of #' },
          count: PRINTING,
          example: expect.objectContaining({ service: 'bulk.print' }),
        },
        expect.objectContaining({ count: MANY - PRINTING }),
      ],
      others: 0,
    });
    const table = (await post.done('ls', '--group-by', 'reason', '--limit', '1')).split('\n');
    expect(table.map((line) => line.split(/ {2,}/).map((cell) => cell.trim()))).toEqual([
      ['COUNT', 'NEWEST', 'CODE', 'PATTERN'],
      [`${PRINTING}`, expect.stringMatching(/^[0-9A-F]{32}$/), 'out-of-paper', 'tray # of #'],
      [`${MANY - PRINTING} more in other groups`],
      [''],
    ]);
    const { code = '', pattern = '' } = first?.filter ?? {};
    const group = ['--code', code, '--pattern', pattern];
    expect(await post.done('retry', ...group, '--dry-run')).toBe(`${PRINTING} would be retried\n`);
    expect(await deadAt(post)).toBe(MANY);
    expect(await post.done('retry', ...group)).toBe(`${PRINTING} retried\n`);
    expect(await deadAt(post)).toBe(MANY - PRINTING);
    expect(await post.done('cancel', '--header', 'tenant=acme', '--json')).toBe('{"count":10}\n');
    const left = await post.listed('--reason', 'PAGE 30', '--state', 'dead', '--limit', '3000');
    expect(left.items.length).toBeGreaterThan(10);
    for (const item of left.items) {
      expect(item).toMatchObject({ reason: expect.stringContaining('page 30') });
    }
  });

  it('Ctrl-C ends it after the step under way, and says that others are left', async () => {
    const post = await prepared();
    const { daemon } = post;
    const args = ['durable', 'purge', '--state', 'dead', '--admin', httpOf(daemon)];
    const environment = { MAJORDOMO_TOKEN: tokenOf(daemon) };
    const command = new Child(args, { environment });
    await until(async () => (await deadAt(post)) < MANY, 'it has begun');
    command.signal('SIGINT');
    const { status, stdout, stderr } = await command.finished();
    const count = parseInt(stdout, 10);
    expect({ status, stdout }).toEqual({ status: 130, stdout: `${count} deleted\n` });
    expect([STEP, 2 * STEP]).toContain(count);
    expect(stderr).toContain('stopping after this step');
    expect(stderr).toContain('the others stay as they are');
    expect(await deadAt(post)).toBe(MANY - count);
  });

  itWithTool('script and stty', 'asks at a terminal before it changes more than 100', async () => {
    const post = await prepared();
    const says = async (answer: string, ...args: string[]): Promise<string> => {
      const words = [process.execPath, MAIN, 'durable', ...args, '--admin', httpOf(post.daemon)];
      const line = words.map((word) => `'${word}'`).join(' ');
      const log = join(temporaryDirectory(), 'typescript');
      const terminal = spawn('script', ['-qec', line, log], {
        env: { ...process.env, MAJORDOMO_TOKEN: tokenOf(post.daemon) },
      });
      let shown = '';
      terminal.stdout.on('data', (chunk: Buffer) => {
        shown += chunk.toString();
        if (shown.includes('[y/N]') && answer !== '') terminal.stdin.end(answer);
      });
      await once(terminal, 'close');
      return shown;
    };
    const refused = await says('n\n', 'retry', '--reason', 'paper');
    expect(refused).toContain(`retry ${PRINTING} requests? [y/N]`);
    expect(refused).toContain('nothing was done');
    expect(await deadAt(post)).toBe(MANY);
    expect(await says('', 'retry', '--header', 'tenant=acme')).toContain('10 retried');
    expect(await says('y\n', 'retry', '--reason', 'paper')).toMatch(/79\d\d retried/);
  });
});
