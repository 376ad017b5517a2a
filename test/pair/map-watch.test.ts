import { Child, killAll, run } from '../support/child.js';
import { pairWithMap } from '../support/map-load.js';
import { removePairs } from '../support/pair-daemons.js';

afterEach(async () => {
  await killAll();
  await removePairs();
});

describe('majordomo map at a pair', () => {
  it('watches a key across a switchover, and its end', async () => {
    const { pair } = await pairWithMap();
    const active = await pair.inSync();
    const endpoint = `${pair.endpointOf('primary')},${pair.endpointOf('backup')}`;
    const set = async (...args: readonly string[]): Promise<void> => {
      const { status, stderr } = await run([
        ...['map', 'set', ...args, '--endpoint', endpoint, '--timeout-ms', '60000'],
      ]);
      expect([status, stderr]).toEqual([0, '']);
    };
    const child = new Child([
      ...['map', 'watch', '/', '--endpoint', endpoint, '--timeout-ms', '60000'],
    ]);
    for (let index = 0; !child.stdout.includes('/try'); index++) await set('/try', `${index}`);
    await set('/colour', 'blue', '--ttl-ms', '60000');
    await pair.switchedOver(active);
    await set('/colour', 'red', '--ttl-ms', '1000');
    await child.until(({ stdout }) => stdout.includes('gone  /colour'), 'the end of the key');
    const lines = child.stdout.split('\n').filter((line) => line.includes('/colour'));
    expect(lines.map((line) => line.replace(/^\S+ {2}/, ''))).toEqual([
      'set   /colour  blue',
      'set   /colour  red',
      'gone  /colour',
    ]);
  });
});
