import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

import { nativeFailure, requireSystem } from '../../../../src/cli/serve/native.js';

describe('a system on which no broker runs', () => {
  it.each([
    ['win32', 'x64', 'the broker does not run on Windows: use WSL 2 or a container'],
    ['linux', 'arm', 'the broker runs on 64-bit systems only, and this is arm'],
    ['linux', 'ia32', 'the broker runs on 64-bit systems only, and this is ia32'],
  ])('is refused in its words: %s, %s', (platform, arch, text) => {
    expect(() => requireSystem(platform, arch)).toThrow(text);
  });

  it.each([
    ['linux', 'arm64'],
    ['darwin', 'x64'],
  ])('is not %s on %s', (platform, arch) => {
    expect(() => requireSystem(platform, arch)).not.toThrow();
  });

  it('is refused by npm, too, before anything is installed', () => {
    const file = new URL('../../../../../package.json', import.meta.url);
    const { cpu } = JSON.parse(readFileSync(file, 'utf8')) as { readonly cpu: readonly string[] };
    expect(cpu).toEqual(['x64', 'arm64']);
    for (const arch of cpu) expect(() => requireSystem('linux', arch)).not.toThrow();
  });

  it('is told which glibc it lacks, and not to install again', () => {
    const text =
      "/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.34' not found (required by /x/better-sqlite3/better_sqlite3.node)";
    const failure = nativeFailure(Object.assign(new Error(text), { code: 'ERR_DLOPEN_FAILED' }));
    expect(failure?.message).toMatch(
      /^better-sqlite3 needs glibc 2\.34 or newer, and this system has \d\.\d+: use the container image, or a newer system$/,
    );
  });
});

/** What an expression of a module's exports is on another system. */
function onSystem(platform: string, module: string, expression: string): unknown {
  const { href } = new URL(`../../../../src/${module}.js`, import.meta.url);
  const program = `Object.defineProperty(process, 'platform', { value: '${platform}' });
    const it = await import('${href}');
    console.log(JSON.stringify(${expression}));`;
  const args = ['--input-type=module', '--eval', program];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }));
}

describe('on Windows', () => {
  it('the mode of a file says nothing of who may use it', () => {
    const asked = '[it.mayOthersUse({ mode: 0o666, uid: 0 }), it.mayOthersWrite(0o666)]';
    expect(onSystem('win32', 'core/private-file', asked)).toEqual([false, false]);
    expect(onSystem('linux', 'core/private-file', asked)).toEqual([true, true]);
  });
});

describe('on macOS', () => {
  it('the path of a socket has at most 103 bytes', () => {
    const asked = "[103, 104].map((length) => it.parseEndpoint('ipc://' + 'x'.repeat(length)).ok)";
    expect(onSystem('darwin', 'config/endpoint', asked)).toEqual([true, false]);
    expect(onSystem('linux', 'config/endpoint', asked)).toEqual([true, true]);
  });
});
