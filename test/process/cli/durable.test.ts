import { ServiceError, Worker } from '../../../src/sdk/worker.js';
import { run } from '../../support/child.js';
import { atEnd, endAll } from '../../support/daemon-users.js';
import { startDaemon } from '../../support/daemon.js';
import { httpOf } from '../../support/http.js';
import { describeDurableCommands, HTTP, Post } from '../../support/durable-commands.js';
import { until } from '../../support/until.js';

const NEVER = 'FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF';

afterEach(endAll);

describeDurableCommands('of a file', () => []);

describe('majordomo durable show', () => {
  it('shows the whole history of one request', async () => {
    const post = await Post.open();
    const [uuid = ''] = await post.dead('work', 1);
    const text = await post.done('show', uuid.toLowerCase());
    expect(text).toMatch(/^uuid +[0-9A-F]{32}$/m);
    expect(text).toMatch(/^state +dead$/m);
    expect(text).toMatch(/^failed +1\/1 attempts, 1 in total$/m);
    expect(text).toMatch(/^died .*: out-of-paper: it fails$/m);
    expect(text).toMatch(
      /WORKER +STARTED +TOOK +REASON\n1 \(\S+, 127\.0\.0\.1\) +\d{4}-.* out-of-paper: it fails\n/,
    );
    expect(text).toMatch(/\ndetail of the last failure\n\{"tray":2\}\n$/);
    expect(JSON.parse(await post.done('show', uuid, '-o', 'json'))).toMatchObject({
      uuid,
      deliveries: [
        {
          worker: '1',
          failure: {
            ...{ kind: 'error', code: 'out-of-paper', text: 'it fails' },
            detail: [{ encoding: 'utf8', data: '{"tray":2}' }],
          },
        },
      ],
    });
  });

  it('and the list have the group of a request, if there is one; --group selects it (D118)', async () => {
    const post = await Post.open();
    const stored = ['--durable', '--no-wait', '--endpoint', post.daemon.endpoint];
    const { stdout } = await run(['request', '--group', 'tenant 7', 'idle', 'x', ...stored]);
    const uuid = stdout.trim();
    expect(await post.done('show', uuid)).toMatch(/^group +tenant 7$/m);
    const schedule = ['durable', 'schedule', 'n', '* * * * * *', 'idle', 'x', '--group', 'tick'];
    const at = ['--endpoint', post.daemon.endpoint];
    expect(await run([...schedule, ...at])).toMatchObject({ status: 0 });
    await until(async () => {
      const { items } = await post.listed('--group', 'tick');
      return items.length > 0;
    }, 'the schedule has made one');
    const [plain = ''] = await post.submits('plain', 1);
    expect(await post.done('show', plain)).not.toMatch(/^group/m);
    expect(await post.done('ls', '--service', 'plain')).not.toContain('GROUP');
    expect(await post.done('ls', '--group', 'tenant 7')).toMatch(
      new RegExp(`GROUP +REASON\n${uuid} .* tenant 7 +-\n$`),
    );
    const stranger = ['--admin', httpOf(post.daemon)];
    const { stdout: shown } = await run(['durable', 'ls', ...stranger]);
    expect(shown).not.toMatch(/tenant 7|tick/);
    const refused = await run(['durable', 'ls', '--group', 'tick', ...stranger]);
    expect(refused).toMatchObject({ stdout: '', stderr: expect.stringContaining('token') });
    expect(await post.done('cancel', '--group', 'tenant 7')).toBe('1 cancelled\n');
  });

  it('without a token says of reasons that they need one, and where it is', async () => {
    const post = await Post.open();
    const [uuid = ''] = await post.dead('work', 1);
    const at = ['--admin', httpOf(post.daemon)];
    const list = await run(['durable', 'ls', ...at]);
    expect(list.stdout).toMatch(/ needs a token$/m);
    expect(list.stderr).toMatch(/and reasons left out, unless you give a token .*http\.token/);
    const { stdout } = await run(['durable', 'show', uuid, ...at]);
    expect(stdout).toMatch(/^died .*: needs a token$/m);
    expect(stdout).toMatch(/^1 \(\S+\) .* needs a token$/m);
    const [pending = ''] = await post.submits('idle', 1);
    const { stdout: whole } = await run(['durable', 'ls', '--service', 'idle', ...at]);
    expect(whole).toMatch(new RegExp(`^${pending.slice(0, 16)}… .* -$`, 'm'));
  });

  it('shows the attempts and pauses that the request command chose, after a kill, too', async () => {
    const post = await Post.open();
    const { endpoint, dataDir } = post.daemon;
    const chosen = ['--max-attempts', '4', '--backoff-ms', '3600000..7200000'];
    const request = ['request', '--endpoint', endpoint, '--durable', '--no-wait'];
    const { stdout, stderr } = await run([...request, ...chosen, 'work', 'hi']);
    expect(stderr).toContain('waits for a worker');
    const uuid = stdout.trim();
    const [other = ''] = await post.submits('idle', 1);
    await post.daemon.kill();
    const next = new Post(await startDaemon({ endpoint, dataDir, sets: [HTTP] }));
    expect(await next.done('show', uuid)).toMatch(
      /^backoff +3600000 ms, doubled up to 7200000 ms$/m,
    );
    const worker = new Worker({ endpoints: endpoint, service: 'work' }, () => {
      throw new ServiceError('out-of-paper', 'it fails');
    });
    atEnd(() => worker.close());
    void worker.run();
    const facts = async (asked: string): Promise<Record<string, unknown>> =>
      JSON.parse(await next.done('show', asked, '-o', 'json')) as Record<string, unknown>;
    await until(async () => (await facts(uuid))['attempts'] === 1, 'an attempt');
    const tried = await facts(uuid);
    expect(tried).toMatchObject({
      maxAttempts: 4,
      backoff: { baseMs: 3_600_000, maxMs: 7_200_000 },
    });
    expect(Date.parse(String(tried['notBefore'])) - Date.now()).toBeGreaterThan(1_500_000);
    expect(await facts(other)).toMatchObject({ backoff: null });
  });

  it('with --body shows the bodies, which do nothing to the terminal; JSON has their frames', async () => {
    const post = await Post.open('titanic.showBodies=true');
    const binary = Buffer.from([...Buffer.from('PNG'), 0xff, 0x1b]);
    const headers = { tenant: 'ac\u001bme', trace: '1' };
    const body = ['red \u001b[31m\nline 2', binary, ''];
    const { uuid } = await post.client.enqueue('work', body, { headers });
    const text = await post.done('show', uuid, '--body');
    expect(text).toContain(
      '\nheaders\ntenant: ac\ufffdme\ntrace: 1\n\nrequest body, 27 bytes\nframe 1, 16 bytes\nred \ufffd[31m\nline 2\nframe 2, 5 bytes\n' +
        `00000000  50 4e 47 ff 1b${' '.repeat(33)}  PNG..\nframe 3, 0 bytes\n\nreply body: none\n`,
    );
    expect(text).toMatch(/^uuid +[0-9A-F]{32}$/m);
    expect(JSON.parse(await post.done('show', uuid, '--body', '-o', 'json'))).toMatchObject({
      uuid,
      bodies: {
        headers,
        body: {
          ...{ bytes: 27, cut: false },
          frames: [
            { bytes: 16, encoding: 'utf8', data: 'red \u001b[31m\nline 2' },
            { bytes: 5, encoding: 'base64', data: binary.toString('base64') },
            { bytes: 0, encoding: 'utf8', data: '' },
          ],
        },
        reply: null,
      },
    });
    expect(JSON.parse(await post.done('show', uuid, '-o', 'json'))).not.toHaveProperty('bodies');
    const { uuid: large } = await post.client.enqueue('work', 'x'.repeat(100_000));
    const cut = await post.done('show', large, '--body');
    expect(cut).toContain('\nheaders: none\n');
    expect(cut).toMatch(/^request body, .*, truncated$/m);
    expect(cut.length).toBeLessThan(70_000);
  });

  it('with --body says why no bodies are shown, and ends with 1', async () => {
    const post = await Post.open();
    const [uuid = ''] = await post.submits('work', 1);
    expect(await post.durable('show', uuid, '--body')).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(
        /^majordomo: http:\/\/127\.0\.0\.1:\d+: bodies cannot be read: titanic\.showBodies is false\n$/,
      ),
    });
  });

  it('of an unknown request ends with 1', async () => {
    const post = await Post.open();
    expect(await post.durable('show', NEVER)).toMatchObject({
      status: 1,
      stdout: '',
      stderr: 'majordomo: no such durable request: closed, expired, or never stored\n',
    });
  });
});

describe('majordomo durable, without rights', () => {
  it('needs the token, and says how to give it', async () => {
    const { daemon } = await Post.open();
    const at = ['--admin', httpOf(daemon)];
    const wrong = await run(['durable', 'purge', '--state', 'dead', '--token', 'wrong', ...at]);
    expect(wrong).toMatchObject({ status: 1, stdout: '' });
    expect(wrong.stderr).toContain('the token is wrong');
    // The token is in the data directory that the configuration names.
    const set = ['--set', `node.dataDir=${daemon.dataDir}`];
    expect(await run(['durable', 'purge', '--state', 'dead', ...set, ...at])).toMatchObject({
      status: 0,
      stdout: '0 deleted\n',
    });
  });
});
