import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

/**
 * The architecture rules are a program too. This writes a small tree that breaks each of them once,
 * runs the same check as `npm run check:rooms` on it, and looks for every rule's name and remedy.
 */
const ROOT = process.cwd();
const CONFIG = join(ROOT, '.dependency-cruiser.cjs');
const CRUISER = join(ROOT, 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs');

const PACKAGES = [
  '@cfworker/json-schema',
  '@opentelemetry/api',
  '@preact/signals',
  'better-sqlite3',
  'commander',
  'json-p3',
  'left',
  'libsodium-wrappers-sumo',
  'pg',
  'pino',
  'pino-pretty',
  'preact',
  'prom-client',
  'uplot',
  'yaml',
  'zeromq',
  'zod',
];

/** What the importing files import; each exports a value `x` and a type `T`. */
const TARGETS = [
  'src/bstar/target.ts',
  'src/testing/target.ts',
  'src/broker/target.ts',
  'src/broker/broker.ts',
  'src/broker/ports.ts',
  'src/broker/sink.ts',
  'src/broker/io/target.ts',
  'src/broker/state/target.ts',
  'src/broker/admission/target.ts',
  'src/broker/lifecycle/target.ts',
  'src/broker/inputs/target.ts',
  'src/cli/target.ts',
  'src/config/target.ts',
  'src/config/io/target.ts',
  'src/core/clock.ts',
  'src/core/target.ts',
  'src/node/target.ts',
  'src/admin/api/words.ts',
  'src/admin/target.ts',
  'src/page/target.ts',
  'src/sdk/target.ts',
  'src/titanic/machine/target.ts',
  'src/store/store.ts',
  'src/titanic/operator/target.ts',
  'src/store/sqlite/target.ts',
  'src/extensions/postgres/target.ts',
  'src/extensions/libzmq/machine/target.ts',
  'src/extensions/other/target.ts',
  'src/extensions/libzmq/target.ts',
  'src/wire/target.ts',
  'src/zmtp/target.ts',
  'src/zmtp/connection/target.ts',
];

/** File, what it imports (`type X`: only types, `lazy X`: by `import()`), the rules it breaks. */
type Case = readonly [file: string, imports: string, ...rules: string[]];

const BROKEN: readonly Case[] = [
  ['src/core/a.ts', 'src/wire/target.ts', 'core-imports'],
  ['src/core/a2.ts', 'type src/wire/target.ts', 'core-imports'],
  ['src/wire/a.ts', 'src/broker/target.ts', 'wire-imports'],
  ['src/zmtp/a.ts', 'src/wire/target.ts', 'zmtp-imports'],
  ['src/zmtp/connection/a.ts', 'src/zmtp/target.ts', 'zmtp-machine-imports'],
  ['src/mmi/a.ts', 'src/broker/target.ts', 'mmi-imports'],
  ['src/mmi/a2.ts', 'type src/broker/target.ts', 'mmi-imports'],
  ['src/mmi/a3.ts', 'src/broker/ports.ts', 'mmi-imports-types'],
  ['src/titanic/machine/a.ts', 'src/zmtp/target.ts', 'titanic-imports'],
  ['src/titanic/machine/a2.ts', 'src/broker/ports.ts', 'titanic-imports-types'],
  ['src/titanic/machine/a3.ts', 'src/titanic/operator/target.ts', 'titanic-machine-imports'],
  ['src/titanic/machine/a4.ts', 'src/store/sqlite/target.ts', 'store-shell-is-private'],
  ['src/titanic/a.ts', 'src/core/target.ts', 'titanic-subject'],
  ['src/bstar/a.ts', 'src/titanic/machine/target.ts', 'bstar-imports'],
  ['src/bstar/a2.ts', 'type src/broker/ports.ts', 'bstar-imports'],
  ['src/store/a.ts', 'src/titanic/machine/target.ts', 'store-imports'],
  ['src/store/a2.ts', 'src/store/sqlite/target.ts', 'store-shell-is-private'],
  ['src/store/sqlite/a.ts', 'type src/titanic/machine/target.ts', 'store-shell-imports'],
  ['src/extensions/postgres/a.ts', 'src/extensions/other/target.ts', 'extensions-imports'],
  [
    'src/extensions/postgres/a2.ts',
    'src/page/target.ts',
    'extensions-imports',
    'page-is-not-imported',
  ],
  ['src/node/a3.ts', 'type src/extensions/other/target.ts', 'extensions-are-private'],
  ['src/extensions/other/machine/a.ts', 'src/zmtp/target.ts', 'extension-machine-imports'],
  ['src/extensions/other/machine/a2.ts', 'src/broker/ports.ts', 'extension-machine-imports-types'],
  ['src/bstar/replication/a.ts', 'src/zmtp/target.ts', 'replication-imports'],
  ['src/bstar/replication/a2.ts', 'src/titanic/machine/target.ts', 'replication-imports-types'],
  ['src/broker/a.ts', 'src/titanic/machine/target.ts', 'broker-imports'],
  ['src/broker/a2.ts', 'src/zmtp/target.ts', 'broker-imports'],
  ['src/broker/a3.ts', 'src/broker/io/target.ts', 'machine-without-io'],
  ['src/broker/options.ts', 'src/broker/state/target.ts', 'broker-shared-imports'],
  ['src/broker/state/a.ts', 'type src/broker/admission/target.ts', 'broker-state-imports'],
  ['src/broker/state/a2.ts', 'type src/broker/sink.ts', 'broker-state-has-no-sink'],
  ['src/broker/admission/a.ts', 'src/broker/lifecycle/target.ts', 'broker-admission-imports'],
  ['src/broker/lifecycle/a.ts', 'src/broker/inputs/target.ts', 'broker-lifecycle-imports'],
  ['src/broker/inputs/a.ts', 'type src/broker/broker.ts', 'broker-inputs-imports'],
  ['src/node/a.ts', 'src/broker/state/target.ts', 'broker-folders-are-private'],
  ['src/config/a.ts', 'src/broker/target.ts', 'config-imports-types'],
  ['src/config/a2.ts', 'src/config/io/target.ts', 'machine-without-io'],
  ['src/admin/a.ts', 'src/broker/target.ts', 'admin-imports-types'],
  ['src/node/a9.ts', 'src/page/target.ts', 'page-is-not-imported'],
  ['src/page/a.ts', 'src/core/target.ts', 'page-alone'],
  ['src/admin/a9.ts', 'preact', 'package-preact'],
  ['src/node/a10.ts', 'uplot', 'package-uplot'],
  ['src/cli/a9.ts', '@preact/signals', 'package-@preact/signals'],
  ['src/page/a2.ts', 'type src/admin/target.ts', 'page-alone'],
  ['src/page/a3.ts', 'src/admin/api/words.ts', 'page-imports-types'],
  ['src/stream/a.ts', 'src/broker/target.ts', 'stream-imports'],
  ['src/stream/a2.ts', 'src/zmtp/target.ts', 'stream-imports'],
  ['src/sdk/a.ts', 'src/broker/target.ts', 'sdk-imports'],
  ['src/sdk/a2.ts', 'type src/config/target.ts', 'sdk-imports'],
  ['src/sdk/a3.ts', 'src/testing/target.ts', 'testing-is-not-imported', 'sdk-imports'],
  [
    'src/testing/a.ts',
    'src/extensions/libzmq/target.ts',
    'testing-without-native-modules',
    'extensions-are-private',
  ],
  ['src/cli/a.ts', 'src/broker/target.ts', 'cli-imports'],
  ['src/cli/a2.ts', 'lazy src/titanic/machine/target.ts', 'cli-imports'],
  ['src/cli/a3.ts', 'src/node/target.ts', 'cli-imports-lazily'],
  ['src/cli/a7.ts', 'lazy src/extensions/other/target.ts', 'extensions-are-private', 'cli-imports'],
  ['src/extensions/other/cli/a.ts', 'src/node/target.ts', 'extension-cli-imports'],
  [
    'src/extensions/other/machine/a3.ts',
    'src/extensions/libzmq/machine/target.ts',
    'extension-machine-imports',
  ],
  ['src/cli/a4.ts', 'src/store/sqlite/target.ts', 'cli-imports-lazily'],
  ['src/cli/a5.ts', 'src/zmtp/target.ts', 'cli-imports-lazily'],
  ['src/main.ts', 'src/sdk/target.ts', 'main-imports'],
  ['src/cli/a6.ts', 'src/main.ts', 'main-is-first', 'cli-imports'],
  ['src/config/a3.ts', 'src/main.ts', 'main-is-first', 'config-imports'],
  ['src/admin/a2.ts', 'src/main.ts', 'main-is-first', 'admin-imports'],
  ['src/broker/io/a.ts', 'src/titanic/machine/target.ts', 'broker-io-imports'],
  ['src/stream/io/a.ts', 'src/config/target.ts', 'stream-io-imports'],
  ['src/parlour/a.ts', 'src/core/target.ts', 'known-room'],
  ['src/zmtp/b3.ts', 'zeromq', 'package-zeromq'],
  ['src/titanic/machine/b.ts', 'better-sqlite3', 'package-better-sqlite3'],
  ['src/zmtp/c.ts', 'libsodium-wrappers-sumo', 'package-libsodium-wrappers-sumo'],
  ['src/sdk/b4.ts', 'pino', 'package-pino'],
  ['src/sdk/b5.ts', 'prom-client', 'package-prom-client'],
  ['src/sdk/b6.ts', 'pino-pretty', 'package-pino-pretty'],
  ['src/sdk/b.ts', 'zod', 'package-zod'],
  ['src/sdk/b2.ts', '@opentelemetry/api', 'package-@opentelemetry/api'],
  ['src/config/b.ts', 'yaml', 'package-yaml'],
  ['src/cli/b.ts', 'json-p3', 'package-json-p3'],
  ['src/cli/b2.ts', '@cfworker/json-schema', 'package-@cfworker/json-schema'],
  ['src/node/b.ts', 'commander', 'package-commander'],
  ['src/node/b2.ts', 'pg', 'package-pg'],
  ['src/admin/b.ts', 'left', 'package-without-room', 'no-dev-dependencies'],
  ['src/wire/b.ts', './nowhere.js', 'resolvable'],
  ['src/broker/b.ts', 'node:fs/promises', 'machine-is-pure'],
  ['src/titanic/machine/b2.ts', 'node:worker_threads', 'machine-is-pure'],
  ['src/bstar/b.ts', 'timers', 'machine-is-pure'],
  ['src/mmi/b.ts', 'node:http', 'machine-is-pure'],
  ['src/wire/b2.ts', 'node:child_process', 'machine-is-pure'],
  ['src/zmtp/connection/b.ts', 'node:net', 'machine-is-pure'],
  ['src/extensions/other/machine/b.ts', 'node:net', 'machine-is-pure'],
  ['src/core/b.ts', 'node:timers/promises', 'machine-is-pure'],
  ['src/broker/b2.ts', 'node:crypto', 'machine-is-deterministic'],
  ['src/broker/b3.ts', 'src/core/clock.ts', 'machine-is-deterministic'],
  ['src/wire/c1.ts', 'src/wire/c2.ts', 'no-circle'],
  ['src/wire/d.ts', '', 'no-orphan'],
];

const ALLOWED: readonly Case[] = [
  // The other half of the circle above: it is reported once.
  ['src/wire/c2.ts', 'src/wire/c1.ts'],
  ['src/wire/ok.ts', 'src/core/target.ts'],
  ['src/zmtp/ok.ts', 'node:crypto'],
  ['src/zmtp/curve/sodium.ts', 'lazy libsodium-wrappers-sumo'],
  ['src/zmtp/ok2.ts', 'src/zmtp/connection/target.ts'],
  ['src/zmtp/router/ok.ts', 'node:net'],
  ['src/extensions/libzmq/ok.ts', 'zeromq'],
  ['src/mmi/ok.ts', 'type src/broker/ports.ts'],
  ['src/titanic/machine/ok.ts', 'type src/broker/ports.ts'],
  ['src/broker/ok.ts', 'type src/core/clock.ts'],
  ['src/broker/state/ok.ts', 'src/broker/ports.ts'],
  ['src/broker/admission/ok.ts', 'src/broker/state/target.ts'],
  ['src/broker/lifecycle/ok.ts', 'src/broker/admission/target.ts'],
  ['src/broker/lifecycle/ok2.ts', 'src/broker/sink.ts'],
  ['src/broker/inputs/ok.ts', 'src/broker/lifecycle/target.ts'],
  ['src/broker/io/ok.ts', 'src/zmtp/target.ts'],
  ['src/broker/io/ok2.ts', 'src/broker/target.ts'],
  ['src/titanic/operator/ok.ts', 'src/titanic/machine/target.ts'],
  ['src/store/sqlite/ok.ts', 'better-sqlite3'],
  ['src/store/sqlite/ok2.ts', 'node:worker_threads'],
  ['src/config/ok.ts', 'zod'],
  ['src/admin/ok2.ts', 'zod'],
  ['src/page/ok.ts', 'type src/admin/api/words.ts'],
  ['src/page/ok2.ts', 'preact'],
  ['src/config/ok2.ts', 'type src/broker/target.ts'],
  ['src/admin/ok.ts', 'pino'],
  ['src/sdk/ok.ts', 'src/zmtp/target.ts'],
  ['src/stream/ok.ts', 'src/wire/target.ts'],
  ['src/extensions/other/machine/ok.ts', 'src/store/store.ts'],
  ['src/extensions/other/ok.ts', 'src/node/target.ts'],
  ['src/extensions/postgres/ok.ts', 'src/store/sqlite/target.ts'],
  ['src/stream/io/ok.ts', 'src/zmtp/target.ts'],
  ['src/testing/ok.ts', 'src/node/target.ts'],
  ['src/cli/ok.ts', 'lazy src/node/target.ts'],
  ['src/extensions/other/cli/ok.ts', 'src/cli/target.ts'],
  ['src/cli/ok2.ts', 'src/config/io/target.ts'],
  ['src/cli/ok3.ts', 'lazy src/zmtp/target.ts'],
  ['src/node/ok.ts', 'src/store/sqlite/target.ts'],
  ['src/wire/e1.ts', 'type src/wire/e2.ts'],
  ['src/wire/e2.ts', 'type src/wire/e1.ts'],
];

interface Violation {
  readonly from: string;
  readonly rule: { readonly name: string };
}

interface Report {
  readonly summary: {
    readonly violations: readonly Violation[];
    readonly ruleSetUsed: { readonly forbidden: readonly { name: string; comment: string }[] };
  };
}

let tree = '';
let report: Report['summary'];
let printed = '';

function put(path: string, text: string): void {
  const file = join(tree, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

function source([file, imports]: Case): string {
  const [, how, what] = /^(?:(type|lazy) )?(.*)$/.exec(imports) ?? [];
  if (what === undefined || what === '') return 'export {};\n';
  const ups = '../'.repeat(file.split('/').length - 1);
  const specifier = what.startsWith('src/') ? `${ups}${what.replace(/\.ts$/, '.js')}` : what;
  if (how === 'type') return `import type { T } from '${specifier}';\nexport type U = T;\n`;
  if (how === 'lazy') return `export const y = await import('${specifier}');\n`;
  return `import * as y from '${specifier}';\nexport const z = y;\n`;
}

function cruise(outputType: string): string {
  const run = spawnSync(
    process.execPath,
    [CRUISER, '--config', CONFIG, '--output-type', outputType, 'src'],
    { cwd: tree, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
  );
  if (run.stderr !== '') throw new Error(run.stderr);
  return run.stdout;
}

beforeAll(() => {
  tree = mkdtempSync(join(tmpdir(), 'majordomo-rooms-'));
  const dependencies = PACKAGES.filter((name) => name !== 'left');
  put(
    'package.json',
    JSON.stringify({
      type: 'module',
      dependencies: Object.fromEntries(dependencies.map((name) => [name, '1.0.0'])),
      devDependencies: { left: '1.0.0' },
    }),
  );
  put('tsconfig.json', readFileSync(join(ROOT, 'tsconfig.json'), 'utf8'));
  for (const name of PACKAGES) {
    put(`node_modules/${name}/package.json`, JSON.stringify({ name, main: 'index.js' }));
    put(`node_modules/${name}/index.js`, 'exports.x = 1;\n');
  }
  for (const target of TARGETS) put(target, 'export type T = number;\nexport const x = 1;\n');
  for (const each of [...BROKEN, ...ALLOWED]) put(each[0], source(each));

  report = (JSON.parse(cruise('json')) as Report).summary;
  printed = cruise('err-long').replace(/\s+/g, ' ');
});

afterAll(() => {
  rmSync(tree, { recursive: true, force: true });
});

function rulesBrokenBy(file: string): string[] {
  const names = report.violations
    .filter((each) => each.from === file)
    .map((each) => each.rule.name);
  return [...new Set(names)].sort();
}

describe('the rooms of src/ (docs/ARCHITECTURE.md)', () => {
  for (const [file, imports, ...rules] of BROKEN) {
    it(`${file} importing "${imports}" breaks ${rules.join(' and ')}`, () => {
      expect(rulesBrokenBy(file)).toEqual([...rules].sort());
    });
  }

  for (const [file, imports] of ALLOWED) {
    it(`${file} may import "${imports}"`, () => {
      expect(rulesBrokenBy(file)).toEqual([]);
    });
  }

  it('two folders that import each other break no-folder-circle', () => {
    expect(rulesBrokenBy('src/titanic/operator')).toEqual(['no-folder-circle']);
    expect(rulesBrokenBy('src/mmi')).toEqual([]);
  });

  it('has a case here for every rule, but for those of rooms that are made alike', () => {
    const proven = new Set(['no-folder-circle', ...BROKEN.flatMap(([, , ...rules]) => rules)]);
    const unproven = report.ruleSetUsed.forbidden
      .map((rule) => rule.name)
      .filter((name) => !proven.has(name) && !name.endsWith('-io-imports'));
    expect(unproven).toEqual([]);
  });

  it('prints the remedy of every broken rule', () => {
    const broken = new Set(report.violations.map((each) => each.rule.name));
    for (const { name, comment } of report.ruleSetUsed.forbidden) {
      expect(comment.length).toBeGreaterThan(40);
      if (broken.has(name)) expect(printed).toContain(comment);
    }
  });
});
