/** `majordomo context`: brokers by name. */
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { type Finished, run } from '../../support/child.js';
import { removeDaemons, startDaemon, temporaryDirectory } from '../../support/daemon.js';
import { httpOf, tokenOf } from '../../support/http.js';

afterEach(removeDaemons);

/** Command lines of one user. */
function user(): {
  readonly home: string;
  say(line: readonly string[], environment?: Readonly<Record<string, string>>): Promise<Finished>;
} {
  const home = temporaryDirectory();
  return {
    home,
    say: (line, environment = {}) =>
      run(line, { environment: { XDG_CONFIG_HOME: home, ...environment } }),
  };
}

describe('majordomo context', () => {
  it('names brokers with their tokens; commands ask the current one, or the one that is named', async () => {
    const [left, right] = await Promise.all(
      ['left', 'right'].map((name) =>
        startDaemon({ sets: ['http.listen=127.0.0.1:0', `node.name=${name}`] }),
      ),
    );
    if (left === undefined || right === undefined) throw new Error('no daemons');
    const { home, say } = user();
    const asked = async (...more: readonly string[]): Promise<unknown> => {
      const { stdout, stderr } = await say(['status', '-o', 'json', ...more]);
      return stdout === '' ? stderr : (JSON.parse(stdout) as { readonly node: string }).node;
    };
    for (const [name, daemon] of [
      ['left', left],
      ['right', right],
    ] as const) {
      const token = join(daemon.dataDir, 'http.token');
      const added = await say(['context', 'add', name, httpOf(daemon), '--token-file', token]);
      expect(added.status).toBe(0);
    }
    const file = join(home, 'majordomo', 'contexts.json');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'utf8')).not.toContain(tokenOf(left));
    expect([await asked(), await asked('--context', 'right')]).toEqual(['left', 'right']);
    expect((await say(['context', 'use', 'right'])).stdout).toBe('right is the current context\n');
    expect(await asked()).toBe('right');
    const environment = { MAJORDOMO_CONTEXT: 'left' };
    // The token of the environment is for another broker.
    const lost = { MAJORDOMO_TOKEN: 'sixteen-letters-1' };
    expect((await say(['services', 'pause', 'y'], lost)).stdout).toBe('y is paused\n');
    const named = await say(['status', '-o', 'json'], environment);
    expect(JSON.parse(named.stdout)).toMatchObject({ node: 'left' });
    // Its token is sent, and the endpoint is learnt from it.
    expect((await say(['services', 'pause', 'x'])).stdout).toBe('x is paused\n');
    expect((await say(['request', 'mmi.service', 'x'])).stdout.trim()).toBe('404');
    expect((await say(['context', 'ls'])).stdout).toMatch(/^ +NAME.*\n +left .*\n\* +right /);
    // What says which broker it is comes first.
    expect(await asked('--admin', httpOf(left))).toBe('left');
    const told = await say(['status', '-o', 'json'], { MAJORDOMO_URL: httpOf(left) });
    expect(JSON.parse(told.stdout)).toMatchObject({ node: 'left' });
    expect((await say(['context', 'rm', 'right'])).status).toBe(0);
    expect(await asked('--set', `http.listen=${httpOf(left).slice('http://'.length)}`)).toBe(
      'left',
    );
    expect(await asked('--context', 'right')).toContain("there is no context 'right'; known: left");
  });

  it('refuses what cannot be used, and says why', async () => {
    const { home, say } = user();
    const refusals: readonly (readonly [readonly string[], string])[] = [
      [['context', 'add', 'a b', 'tcp://x:1'], 'a name has 1 to 64'],
      [['context', 'add', 'a', 'x:1'], 'MAJORDOMO_URL'],
      [['context', 'add', 'a', 'tcp://x:1', '--curve-key-file', 'k'], 'must be given together'],
      [['context', 'use', 'a'], "there is no context 'a'; known: none"],
      [['services', '--context', 'a', '--endpoint', 'tcp://x:1'], 'give either --context'],
    ];
    for (const [line, why] of refusals) {
      const { status, stderr } = await say(line);
      expect([line, status, stderr]).toEqual([line, 64, expect.stringContaining(why)]);
    }
    expect((await say(['context', 'ls'])).stderr).toContain('no contexts');
    const folder = join(home, 'majordomo');
    mkdirSync(folder);
    for (const text of ['', '[]', '{"current": 1, "contexts": {}}', '{"current": null}']) {
      writeFileSync(join(folder, 'contexts.json'), text);
      const { status, stderr } = await say(['status']);
      expect([status, stderr]).toEqual([
        64,
        expect.stringContaining('contexts.json cannot be used'),
      ]);
    }
  });
});
