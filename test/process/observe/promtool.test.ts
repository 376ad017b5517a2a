import { spawnSync } from 'node:child_process';

import { metricsOf } from '../../support/metrics.js';
import { endStages, stage } from '../../support/stage.js';
import { itWithTool } from '../../support/tools.js';

afterEach(endStages);

describe('promtool check metrics', () => {
  itWithTool('promtool', 'finds nothing wrong, even with hostile service names', async () => {
    const s = stage();
    const names = [
      'a"} 1\nx',
      'back\\slash',
      '100%',
      '\u0000\u00ff',
      '{le="1"}',
      ''.padEnd(255, '"'),
    ];
    for (const [index, name] of names.entries()) {
      s.worker(`w${index}`).ready(Buffer.from(name, 'latin1'));
    }
    const { plain } = await metricsOf(s.broker, { node: 'a "node"\\' }).render();
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
      input: plain,
      encoding: 'utf8',
    });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
  });
});
