import { cpSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { removeDaemons, startDaemon, temporaryDirectory } from '../../support/daemon.js';
import { ask, httpOf } from '../../support/http.js';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));

afterEach(removeDaemons);

it('a node whose program an upgrade has removed answers its first request over HTTP, and shows its page', async () => {
  const root = temporaryDirectory();
  const program = join(root, 'build/program');
  mkdirSync(dirname(program));
  cpSync(join(ROOT, 'build/program'), program, { recursive: true });
  cpSync(join(ROOT, 'package.json'), join(root, 'package.json'));
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  const daemon = await startDaemon({
    program: join(program, 'main.js'),
    sets: ['http.listen=127.0.0.1:0'],
  });
  rmSync(program, { recursive: true });
  const url = httpOf(daemon);
  const answers = await Promise.all([ask(`${url}/readyz`), ask(`${url}/`)]);
  expect(answers.map(({ status }) => status)).toEqual([200, 200]);
});
