import { Child, killAll, run } from '../../support/child.js';
import { type Daemon, removeDaemons, startDaemon } from '../../support/daemon.js';
import { freePortsInARow } from '../../support/free-ports.js';
import { mapOf, MAPS } from '../../support/map-endpoint.js';
import { until } from '../../support/until.js';

/** The default is less than a busy machine may stall. */
const PATIENT = ['--timeout-ms', '30000'];

/** For the whole file: each case has its own keys. */
let daemon: Daemon;

beforeAll(async () => {
  daemon = await startDaemon({ sets: [MAPS] });
});

afterEach(() => killAll(daemon));

afterAll(removeDaemons);

async function map(node: Daemon, ...args: readonly string[]): Promise<string> {
  const at = ['--endpoint', node.endpoint, ...PATIENT];
  const { status, stdout, stderr } = await run(['map', ...args, ...at]);
  expect([status, stderr]).toEqual([0, '']);
  return stdout;
}

/** Sets keys until the command has printed one: only then it watches for sure. */
async function untilWatching(child: Child, node: Daemon): Promise<void> {
  for (let index = 0; !child.stdout.includes('/try'); index++) {
    await map(node, 'set', '/try', String(index));
  }
}

/** The lines of a watch, without their times, and without those of `untilWatching`. */
function linesOf({ stdout }: Child): readonly string[] {
  const lines = stdout.split('\n').filter((line) => line !== '' && !line.includes('/try'));
  return lines.map((line) => line.replace(/^\S+Z {2}/, ''));
}

describe('majordomo map', () => {
  it('sets, gets, lists and deletes keys of the broker that it asks', async () => {
    expect(await map(daemon, 'ls')).toBe('');
    expect(await map(daemon, 'set', '/config/colour', 'blue')).toBe('');
    await map(daemon, 'set', '/config/long', 'x'.repeat(100));
    await map(daemon, 'set', 'plain', '1', '--json');
    expect(await map(daemon, 'get', '/config/colour')).toBe('blue\n');
    expect(await map(daemon, 'get', '/config/colour', '-o', 'raw')).toBe('blue');
    expect(await map(daemon, 'ls', '/config/')).toBe(
      `KEY             VALUE\n/config/colour  blue\n/config/long    ${'x'.repeat(80)}…\n`,
    );
    const all = JSON.parse(await map(daemon, 'ls', '-o', 'json')) as readonly unknown[];
    expect(all).toHaveLength(3);
    expect(all[2]).toEqual({ key: 'plain', value: { encoding: 'utf8', data: '1' } });
    expect(await map(daemon, 'rm', '/config/long')).toBe('');
    expect(JSON.parse(await map(daemon, 'rm', 'plain', '--json'))).toEqual({
      key: 'plain',
      deleted: true,
    });
    expect(JSON.parse(await map(daemon, 'get', '/config/colour', '--json'))).toEqual({
      key: '/config/colour',
      value: { encoding: 'utf8', data: 'blue' },
    });
    const given = await run(['map', 'ls', '--map', mapOf(daemon)]);
    expect(given.stdout).toBe('KEY             VALUE\n/config/colour  blue\n');
  });

  it('takes a value from standard input', async () => {
    const child = new Child(['map', 'set', '/body', '-', '--endpoint', daemon.endpoint]);
    child.process.stdin.end(Buffer.from([1, 0, 255]));
    expect(await child.finished()).toMatchObject({ status: 0, stderr: '' });
    const { value } = JSON.parse(await map(daemon, 'get', '/body', '--json')) as { value: unknown };
    expect(value).toEqual({ encoding: 'base64', data: 'AQD/' });
  });

  it('watch prints each change, also the end of a key', async () => {
    const text = new Child(['map', 'watch', ...PATIENT, '/', '--endpoint', daemon.endpoint]);
    const json = new Child(['map', 'watch', ...PATIENT, '-o', 'json', '--map', mapOf(daemon)]);
    await untilWatching(text, daemon);
    await untilWatching(json, daemon);
    await map(daemon, 'set', '/colour', 'blue', '--ttl-ms', '1000');
    await text.until(({ stdout }) => stdout.includes('gone  /colour'), 'the end of the key');
    expect(linesOf(text)).toEqual(['set   /colour  blue', 'gone  /colour']);
    await json.until(({ stdout }) => stdout.includes('"value":null'), 'the end of the key');
    const events = json.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(events.slice(-2)).toMatchObject([
      { key: '/colour', value: { encoding: 'utf8', data: 'blue' } },
      { key: '/colour', value: null },
    ]);
    for (const child of [text, json]) {
      child.signal('SIGINT');
      expect(await child.finished()).toMatchObject({ status: 0, stderr: '' });
    }
  });

  it('watch goes on after a restart of the broker, and prints what changed meanwhile', async () => {
    const daemon = await startDaemon({ sets: [MAPS] });
    const endpoint = mapOf(daemon);
    const child = new Child(['map', 'watch', ...PATIENT, '--map', endpoint]);
    await untilWatching(child, daemon);
    await map(daemon, 'set', '/kept', '1');
    await child.until(({ stdout }) => stdout.includes('/kept'), 'the change');
    await daemon.kill();
    await child.until(({ stderr }) => stderr.includes('lost'), 'the loss');
    const { dataDir } = daemon;
    const again = await startDaemon({ dataDir, sets: [`map.listen=${endpoint}`] });
    await map(again, 'set', '/new', '2');
    await child.until(({ stdout }) => stdout.includes('/new'), 'the new change');
    expect(linesOf(child)).toEqual(['set   /kept  1', 'set   /new  2']);
    // It has another pipe for that.
    await child.until(({ stderr }) => stderr.endsWith('again\n'), 'that it is back');
    expect(child.stderr).toBe(
      `majordomo: lost ${endpoint}; what changes until a node serves again is printed then\n` +
        `majordomo: watching at ${endpoint} again\n`,
    );
  });

  it('watch ends with 0 when its reader goes away', async () => {
    const child = new Child(['map', 'watch', ...PATIENT, '--endpoint', daemon.endpoint]);
    await untilWatching(child, daemon);
    child.process.stdout.destroy();
    let index = 0;
    await until(async () => {
      await map(daemon, 'set', '/gone', String(++index));
      return child.ended;
    }, 'its end');
    expect(await child.finished()).toMatchObject({ status: 0, stderr: '' });
  });

  it.each([
    [['get', '/none'], 1, 'no such key: /none'],
    [['ls', '/half'], 64, 'a subtree begins and ends with /'],
    [['set', '/mmi/x', '1'], 64, "those keys are the broker's"],
    [['set', '/x', ''], 64, 'delete() removes'],
    [['set', '/x', '1', '--ttl-ms', '0'], 64, 'a whole number from 1'],
  ])('%p ends with %d', async (args, status, words) => {
    const ended = await run(['map', ...args, '--endpoint', daemon.endpoint]);
    expect([ended.status, ended.stdout]).toEqual([status, '']);
    expect(ended.stderr).toContain(words);
  });

  it('says where there is no map, or nobody serves it', async () => {
    // Nobody has the port after it, where updates of a map would come from.
    const port = await freePortsInARow(2);
    const without = await startDaemon({ endpoint: `tcp://127.0.0.1:${port}` });
    const none = await run(['map', 'ls', '--endpoint', without.endpoint]);
    expect([none.status, none.stderr]).toEqual([
      ...[69],
      `majordomo: the broker at ${without.endpoint} does not serve a map: set map.listen there\n`,
    ]);
    const nobody = await run(['map', 'ls', '--map', without.endpoint, '--timeout-ms', '300']);
    expect(nobody.status).toBe(69);
    const updates = `tcp://127.0.0.1:${port + 1}`;
    expect(nobody.stderr).toContain(
      `no node served the map at ${without.endpoint} within 300 ms: ${updates}: connection refused; name`,
    );
    const [gone, map] = ['tcp://127.0.0.1:1', mapOf(daemon)];
    for (const [endpoint, status, timeoutMs] of [
      [gone, 69, '300'],
      // Not the broker's endpoint, but the map's: it is connected, however slow the machine is.
      [map, 75, '5000'],
    ] as const) {
      const at = ['--endpoint', endpoint, '--timeout-ms', timeoutMs];
      const lost = await run(['map', 'get', '/x', ...at]);
      expect([lost.status, lost.stderr]).toEqual([status, expect.stringContaining(endpoint)]);
      expect(lost.stderr).toContain(`cannot ask the broker at ${endpoint} where its map is: `);
      expect(lost.stderr).toContain('give the endpoint of the map itself (map.listen) as --map');
    }
    const wrong = await run(['map', 'ls', '--map', 'tcp://127.0.0.1:1,nonsense']);
    expect([wrong.status, wrong.stderr]).toEqual([64, expect.stringContaining('--map')]);
  });
});
