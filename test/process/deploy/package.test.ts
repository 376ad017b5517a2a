import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

const SOURCES = ['package.json', 'tsconfig.json', 'tsconfig.page.json', 'src', 'scripts'];
const PROGRAM = `
import { Client, type ClientOptions, type Reply } from 'majordomo-broker/client';
import { ServiceError, Worker, type Request } from 'majordomo-broker/worker';

const options: ClientOptions = { endpoints: ['tcp://127.0.0.1:5555'], timeoutMs: 100 };
const worker = new Worker({ ...options, service: 'echo' }, (request: Request) => {
  if (request.frames.length > 1) throw new ServiceError('too-many', 'one frame, please', { retry: false });
  return request.frames;
});
void worker.run();
const reply: Reply = await new Client(options).request('echo', 'hello');
const text: string = reply.text();
// @ts-expect-error: types are checked
export const wrong: number = text;
`;

let folder = '';

/** The folder of the package, as a program that installed it has it. */
let installed = '';

function run(program: string, args: readonly string[], cwd: string): string {
  return execFileSync(program, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** The compiler's messages. */
function compiled(cwd: string): string {
  const compiler = resolve('node_modules/typescript/bin/tsc');
  try {
    return run(process.execPath, [compiler, '-p', '.'], cwd);
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'majordomo-package-'));
  const clone = join(folder, 'clone');
  for (const path of SOURCES) cpSync(path, join(clone, path), { recursive: true });
  symlinkSync(resolve('node_modules'), join(clone, 'node_modules'));
  // The sources are checked elsewhere; without that the build takes seconds.
  const config = JSON.parse(readFileSync('tsconfig.json', 'utf8')) as { compilerOptions: object };
  const compilerOptions = { ...config.compilerOptions, noCheck: true };
  writeFileSync(join(clone, 'tsconfig.json'), JSON.stringify({ ...config, compilerOptions }));
  run('npm', ['pack', '--silent', '--pack-destination', folder], clone);
  const [archive = ''] = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
  run('tar', ['-xzf', archive], folder);
  const modules = join(folder, 'program', 'node_modules');
  mkdirSync(join(modules, '@types'), { recursive: true });
  installed = join(modules, 'majordomo-broker');
  cpSync(join(folder, 'package'), installed, { recursive: true });
  symlinkSync(resolve('node_modules/@types/node'), join(modules, '@types/node'));
  symlinkSync(resolve('node_modules/undici-types'), join(modules, 'undici-types'));
}, 300_000);

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function packed(): string[] {
  return readdirSync(installed, { recursive: true, encoding: 'utf8' });
}

describe('the package', () => {
  it('has the program, the page, and the types of the SDK only', () => {
    const files = packed();
    for (const file of ['main.js', 'page/index.html', 'sdk/client.d.ts', 'sdk/worker.d.ts']) {
      expect([file, files.some((path) => path.endsWith(file))]).toEqual([file, true]);
    }
    const rooms = files.filter((path) => path.endsWith('.d.ts')).map((path) => path.split('/')[1]);
    expect([...new Set(rooms)].sort()).toEqual(['core', 'sdk', 'transport', 'wire', 'zmtp']);
  });

  it('explains its types without the numbers of decisions, which are for developers', () => {
    for (const path of packed().filter((name) => name.endsWith('.d.ts'))) {
      const lines = readFileSync(join(installed, path), 'utf8').split('\n');
      const numbered = lines.filter((line) => /\bD\d+\b/.test(line));
      expect([path, numbered]).toEqual([path, []]);
    }
  });

  it('type-checks in a program with a client and a worker, libraries included', () => {
    const program = join(folder, 'program');
    const compilerOptions = {
      target: 'es2023',
      lib: ['es2023'],
      module: 'nodenext',
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
      types: ['node'],
    };
    writeFileSync(join(program, 'package.json'), '{"type":"module"}');
    writeFileSync(join(program, 'tsconfig.json'), JSON.stringify({ compilerOptions }));
    writeFileSync(join(program, 'program.ts'), PROGRAM);
    expect(compiled(program)).toBe('');
  });
});
