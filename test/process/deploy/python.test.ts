/** The Python package, installed from its wheel and from its source, with no package but those of the machine. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { startTestBroker } from '../../../src/testing/testing.js';
import { LONG_TEST_MS } from '../../support/patience.js';
import { run } from '../../support/tarballs.js';
import { itWithTool, PYTHON } from '../../support/tools.js';

const WORKER = 'def upper(request):\n    return request.text().upper()\n';
const CLIENT = `
import sys
from majordomo_client import Client

with Client(sys.argv[1]) as client:
    print(client.request('upper', 'hello').text())
`;
const INSTALLED =
  "from importlib.metadata import version; import majordomo_client; print(version('majordomo-client'), majordomo_client.__file__)";

/** A wheel as that of 0.1.0, whose module had another name. */
const EARLIER = `
import pathlib, sys
sys.path.insert(0, 'packages/python')
import make_packages
make_packages.sources = lambda: {'majordomo/__init__.py': b''}
print(make_packages.write_wheel(pathlib.Path(sys.argv[1]), '0.0.9', 'Metadata-Version: 2.1\\nName: majordomo-client\\nVersion: 0.0.9\\n'))
`;
const FINDS_EARLIER =
  "from importlib.util import find_spec; print(find_spec('majordomo') is not None)";

let folder = '';

/** The folder with the packages: that of a release, or a new one. */
function packages(): string {
  const made = process.env['MAJORDOMO_TARBALLS'];
  if (made !== undefined) return made;
  const target = join(folder, 'made');
  mkdirSync(target);
  run(PYTHON, ['packages/python/make_packages.py', target], '.');
  return target;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'majordomo-python-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('the Python package replaces an earlier one, works and asks in an environment of its own', () => {
  for (const [title, pattern] of [
    ['from its wheel', /^majordomo_client-.*\.whl$/],
    ['from its source', /^majordomo_client-.*\.tar\.gz$/],
  ] as const) {
    itWithTool(
      'python3-venv, python3-setuptools, python3-wheel and python3-zmq',
      title,
      async () => {
        const from = packages();
        const file = readdirSync(from).find((name) => pattern.test(name)) ?? '';
        const environment = join(folder, 'environment');
        run(PYTHON, ['-m', 'venv', '--system-site-packages', environment], folder);
        const program = (name: string): string => join(environment, 'bin', name);
        const pip = ['install', '--quiet', '--no-index', '--no-build-isolation'];
        const findsEarlier = (): string => run(program('python'), ['-c', FINDS_EARLIER], folder);
        run(program('pip'), [...pip, run(PYTHON, ['-c', EARLIER, folder], '.').trim()], folder);
        expect(findsEarlier()).toBe('True\n');
        run(program('pip'), [...pip, join(from, file)], folder);
        expect(findsEarlier()).toBe('False\n');

        const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
        const [installed = '', path] = run(program('python'), ['-c', INSTALLED], folder).split(' ');
        expect(installed).toBe(version.replace(/-([a-z]+)\.(\d+)$/, '$1$2'));
        expect(path).toContain(environment);

        writeFileSync(join(folder, 'texts.py'), WORKER);
        writeFileSync(join(folder, 'client.py'), CLIENT);
        const broker = await startTestBroker();
        const args = ['texts:upper', '--endpoint', broker.endpoint];
        const worker = spawn(program('majordomo-worker'), args, { cwd: folder, stdio: 'ignore' });
        try {
          const client = spawn(program('python'), ['client.py', broker.endpoint], { cwd: folder });
          let printed = '';
          client.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
          await once(client, 'close');
          expect(printed).toBe('HELLO\n');
        } finally {
          worker.kill('SIGTERM');
          await once(worker, 'close');
          await broker.close();
        }
        expect(worker.exitCode).toBe(0);
      },
      LONG_TEST_MS,
    );
  }
});
