import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { MetricsPage } from '../../support/metrics.js';

/** Takes every free descriptor, then asks for the metrics of the process. */
const PROGRAM = `
import { openSync } from 'node:fs';
const { ProcessMetrics } = await import(process.argv[1]);
const metrics = new ProcessMetrics();
await metrics.render();
let full = '';
try { for (;;) openSync('/dev/null', 'r'); } catch (error) { full = error.code; }
const text = await metrics.render();
process.stdout.write(full + '\\n' + text);
`;

describe('the metrics of the process', () => {
  it('are served with their last values when the descriptors have run out', () => {
    const module = pathToFileURL(
      join(process.cwd(), 'build/src/admin/metrics/process-metrics.js'),
    ).href;
    const { stdout, stderr } = spawnSync(
      '/bin/sh',
      [
        '-c',
        'ulimit -n 64; exec "$0" --input-type=module -e "$1" "$2"',
        process.execPath,
        PROGRAM,
        module,
      ],
      { encoding: 'utf8' },
    );
    expect(stderr).toBe('');
    const [code, ...lines] = stdout.split('\n');
    expect(code).toBe('EMFILE');
    const page = new MetricsPage(lines.join('\n'));
    expect(page.families.size).toBe(9);
    expect(page.samples).toContain('process_resident_memory_bytes');
    expect(page.samples).toContain('process_open_fds');
  });
});
