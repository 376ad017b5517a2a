import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

import { freePorts } from '../../support/free-ports.js';
import { run, type Tarballs, tarballs } from '../../support/tarballs.js';
import { until } from '../../support/until.js';
import { LONG_TEST_MS } from '../../support/patience.js';

const INSTALL = ['install', '--no-audit', '--no-fund', '--prefer-offline'];
const MIB = 1_048_576;

const WORKER = `
import { Worker } from 'majordomo-sdk';

const worker = new Worker({ service: 'upper' }, (request) => {
  return request.text().toUpperCase();
});
process.once('SIGTERM', () => void worker.close());
await worker.run();
`;

const CLIENT = `
import { connect } from 'majordomo-sdk';

const client = connect();
console.log((await client.request('upper', 'hello')).text());
await client.close();
`;

/** Waits for a reply over CURVE, whose library is loaded only then. */
const CURVE = `
const { readFileSync } = require('node:fs');
const { connect } = require('majordomo-sdk');

const key = (name) => readFileSync(name, 'utf8').trim();
const curve = { serverKey: key('server.pub'), publicKey: key('own.pub'), secretKey: key('own') };
const client = connect(process.argv[2], { curve });
client.request('upper', 'sealed').then((reply) => console.log(reply.text()));
`;

/** Everything that a program names of the package, with one error that its types must find. */
const typed = (client: string, worker: string): string => `
import { Client, codeOf, connect, type ClientOptions, type Reply } from '${client}';
import { ServiceError, Worker, type Request } from '${worker}';

const endpoints = 'tcp://127.0.0.1:1';
const options: ClientOptions = { endpoints, timeoutMs: 10 };
export const worker = new Worker({ endpoints, service: 'echo' }, (request: Request) => {
  if (request.frames.length > 1) throw new ServiceError('too-many', 'one frame, please', { retry: false });
  return request.frames;
});
export const client: Client = new Client(options);
export const same: typeof client = connect(endpoints, { timeoutMs: 10 });
client.request('echo', 'hello').then(
  (reply: Reply) => {
    const text: string = reply.text();
    // @ts-expect-error: types are checked
    const wrong: number = text;
    void wrong;
  },
  (error: unknown) => {
    console.log(codeOf(error));
  },
);
`;

let folder = '';
let archives: Tarballs;
/** Empty folders into which the broker, and the SDK, were installed. */
let withBroker = '';
let withSdk = '';

interface Manifest {
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly [key: string]: unknown;
}

function manifestOf(path: string): Manifest {
  return JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as Manifest;
}

function install(name: string, archive: string): string {
  const directory = join(folder, name);
  mkdirSync(directory);
  // Without one, npm installs where it finds one above.
  writeFileSync(join(directory, 'package.json'), '{}');
  run('npm', [...INSTALL, archive], directory);
  return directory;
}

function packageFolder(name: 'majordomo-broker' | 'majordomo-sdk'): string {
  const directory = name === 'majordomo-sdk' ? withSdk : withBroker;
  return join(directory, 'node_modules', name);
}

function filesOf(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((path) =>
    statSync(join(directory, path)).isFile(),
  );
}

function write(directory: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) writeFileSync(join(directory, path), text);
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'majordomo-packages-'));
  archives = tarballs(folder);
  withSdk = install('with-sdk', archives.sdk);
  withBroker = install('with-broker', archives.broker);
  for (const directory of [withSdk, withBroker]) {
    mkdirSync(join(directory, 'node_modules/@types'), { recursive: true });
    for (const types of ['@types/node', 'undici-types']) {
      symlinkSync(resolve('node_modules', types), join(directory, 'node_modules', types));
    }
  }
}, LONG_TEST_MS);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('both packages, installed from their archives', () => {
  it('serve, work and ask: npx majordomo-broker serve, a seven-line worker, a five-line client; also with CURVE', async () => {
    const ports = await freePorts(2);
    const [endpoint, sealed] = ports.map((port) => `tcp://127.0.0.1:${port}`);
    const environment = { ...process.env, MAJORDOMO_URL: endpoint };
    const program = 'node_modules/.bin/majordomo-broker';
    for (const name of ['server', 'own']) {
      run(program, ['keygen', join(withSdk, name)], withBroker);
    }
    const publicKey = readFileSync(join(withSdk, 'own.pub'), 'utf8').trim();
    const keys = [{ name: 'own', publicKey, allow: ['client'] }];
    write(withSdk, { 'keys.yaml': JSON.stringify(keys) });
    const curve = {
      secretKeyFile: join(withSdk, 'server'),
      keysFile: join(withSdk, 'keys.yaml'),
    };
    const listen = JSON.stringify([{ endpoint }, { endpoint: sealed, curve }]);
    const sets = [`broker.listen=${listen}`, 'http.listen=off', 'log.format=json'];
    const serve = ['majordomo-broker', 'serve', ...sets.flatMap((set) => ['--set', set])];
    // A group of its own, because npx starts a shell, and that the broker.
    const broker = spawn('npx', ['--no-install', ...serve], { cwd: withBroker, detached: true });
    let log = '';
    broker.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()));
    broker.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
    const ended = once(broker, 'close');
    write(withSdk, { 'worker.mjs': WORKER, 'client.mjs': CLIENT, 'curve.cjs': CURVE });
    const options = { cwd: withSdk, env: environment };
    const worker = spawn(process.execPath, ['worker.mjs'], options);
    try {
      await until(() => log.includes('broker.ready'), 'broker.ready in the log');
      const printed = async (...args: string[]): Promise<string> => {
        const client = spawn(process.execPath, args, options);
        let output = '';
        client.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
        await once(client, 'close');
        return output;
      };
      expect(await printed('client.mjs')).toBe('HELLO\n');
      expect(await printed('curve.cjs', sealed ?? '')).toBe('SEALED\n');
      worker.kill('SIGTERM');
      await once(worker, 'close');
      expect(worker.exitCode).toBe(0);
    } finally {
      worker.kill('SIGKILL');
      if (broker.pid !== undefined) process.kill(-broker.pid, 'SIGTERM');
      await ended;
    }
    expect(log).toContain('broker.stopped');
  });

  it('bring the commands majordomo and majordomo-broker, if the broker is installed globally', () => {
    const prefix = join(folder, 'global');
    run('npm', [...INSTALL, '--global', '--prefix', prefix, archives.broker], folder);
    for (const name of ['majordomo', 'majordomo-broker']) {
      expect(run(join(prefix, 'bin', name), ['--version'], folder)).toBe(
        `${manifestOf('.').version}\n`,
      );
    }
  });

  it.each(['majordomo-broker', 'majordomo-sdk'] as const)(
    '%s says what it is, and has the licence',
    (name) => {
      const manifest = manifestOf(packageFolder(name));
      const wanted = ['description', 'keywords', 'license', 'repository', 'engines', 'files'];
      expect(Object.keys(manifest)).toEqual(expect.arrayContaining(wanted));
      expect(manifest.version).toBe(manifestOf('.').version);
      expect(existsSync(join(packageFolder(name), 'LICENSE'))).toBe(true);
    },
  );

  it.each(['majordomo-broker', 'majordomo-sdk'] as const)(
    '%s has every file to which one of its pages links',
    (name) => {
      const root = packageFolder(name);
      const pages = filesOf(root).filter((path) => path.endsWith('.md'));
      expect(pages).toContain('README.md');
      const broken = pages.flatMap((page) => {
        const links = readFileSync(join(root, page), 'utf8').matchAll(/\]\(([^)#\s]+)[^)]*\)/g);
        return Array.from(links, ([, target = '']) => target)
          .filter((target) => !/^[a-z]+:/.test(target))
          .filter((target) => !existsSync(join(root, dirname(page), target)))
          .map((target) => `${page}: ${target}`);
      });
      expect(broken).toEqual([]);
    },
  );

  it.each(['broker', 'sdk'] as const)(
    'the types of %s are right for every kind of import (attw)',
    (name) => {
      const attw = resolve('node_modules/@arethetypeswrong/cli/dist/index.js');
      const args = [attw, archives[name], '--format', 'ascii', '--no-color', '--no-emoji'];
      const output = run(process.execPath, args, folder);
      expect(output).toContain('No problems found');
    },
  );
});

describe('majordomo-broker', () => {
  it('has the program, the page, and no types of its own rooms', () => {
    const files = filesOf(packageFolder('majordomo-broker'));
    for (const file of ['dist/main.js', 'dist/page/index.html', 'packages/sdk/dist/sdk.cjs']) {
      expect([file, files.includes(file)]).toEqual([file, true]);
    }
    expect(files.filter((path) => /^dist\/.*\.(d\.ts|map)$/.test(path))).toEqual([]);
  });

  it('exports what majordomo-sdk exports', () => {
    const program = (name: string): string =>
      ['client', 'worker', 'stream', 'testing']
        .map(
          (part) =>
            `import * as ${part} from '${name}/${part}'; console.log(Object.keys(${part}).join());`,
        )
        .join('');
    const names = (directory: string, name: string): string =>
      run(process.execPath, ['--input-type=module', '-e', program(name)], directory);
    expect(names(withBroker, 'majordomo-broker')).toBe(names(withSdk, 'majordomo-sdk'));
  });
});

describe('majordomo-sdk', () => {
  it('is at most 1.66 MB, and brings only what CURVE needs', () => {
    const root = packageFolder('majordomo-sdk');
    const bytes = filesOf(root).reduce((sum, path) => sum + statSync(join(root, path)).size, 0);
    expect(bytes).toBeLessThanOrEqual(1_660_000);
    expect(manifestOf(root)['scripts']).not.toHaveProperty('prepare');
    const lock = readFileSync(join(withSdk, 'node_modules/.package-lock.json'), 'utf8');
    const { packages } = JSON.parse(lock) as { packages: Readonly<Record<string, unknown>> };
    expect(Object.keys(packages).sort()).toEqual([
      'node_modules/libsodium-sumo',
      'node_modules/libsodium-wrappers-sumo',
      'node_modules/majordomo-sdk',
    ]);
  });

  it.each(['index.js', 'index.cjs'])('%s can be read: names, and short lines', (file) => {
    const path = join(packageFolder('majordomo-sdk'), 'dist', file);
    const program = `import('${path}').then(({ MajordomoError: { name } }) => console.log(name))`;
    expect(run(process.execPath, ['-e', program], withSdk)).toBe('MajordomoError\n');
    const code = readFileSync(path.replace('index', 'sdk'), 'utf8');
    expect(Math.max(...code.split('\n').map(({ length }) => length))).toBeLessThan(1000);
  });

  it('depends on the version of libsodium that the broker depends on', () => {
    const name = 'libsodium-wrappers-sumo';
    const [sdk, broker] = [packageFolder('majordomo-sdk'), packageFolder('majordomo-broker')].map(
      (path) => manifestOf(path).dependencies?.[name],
    );
    expect(sdk).toBe(broker);
  });

  it('has publishers and subscribers, with shards in threads', () => {
    const handler = `data:text/javascript,${encodeURIComponent(
      'export default (message, { shard }) => console.log(shard, message.topic);',
    )}`;
    const program =
      "import { Publisher, Subscriber } from 'majordomo-sdk/stream';" +
      "const publisher = new Publisher({ listen: 'tcp://127.0.0.1:0' });" +
      'const [endpoints] = await publisher.open();' +
      `const options = { endpoints, shards: [['a'], ['b']], handler: '${handler}' };` +
      'const subscriber = new Subscriber(options);' +
      'const run = subscriber.run();' +
      "const isReady = () => ['a', 'b'].every((topic) => publisher.hasSubscribers(topic));" +
      'while (!isReady()) await new Promise(setImmediate);' +
      "publisher.publish('bb', '');" +
      "const one = new Subscriber({ endpoints, topics: 'c' });" +
      "while (!publisher.hasSubscribers('c')) await new Promise(setImmediate);" +
      "publisher.publish('c', 'one');" +
      'for await (const message of one) { console.log(message.text()); break; }' +
      'await subscriber.close(); await run; await publisher.close();';
    write(withSdk, { 'streams.mjs': program });
    const printed = run(process.execPath, ['streams.mjs'], withSdk);
    expect(printed.trim().split('\n').sort()).toEqual(['1 bb', 'one']);
  });

  it('has a broker for tests', () => {
    const program =
      "const { startTestBroker } = require('majordomo-sdk/testing');" +
      "const { connect, Worker } = require('majordomo-sdk');" +
      '(async () => {' +
      'const broker = await startTestBroker();' +
      'const { endpoint: endpoints } = broker;' +
      "const worker = new Worker({ endpoints, service: 'echo' }, ({ frames }) => frames);" +
      'void worker.run();' +
      'const client = connect(endpoints);' +
      "const job = await client.enqueue('echo', 'kept');" +
      'console.log((await job.result()).text());' +
      'await client.close(); await worker.close(); await broker.close();' +
      '})();';
    expect(run(process.execPath, ['-e', program], withSdk)).toBe('kept\n');
  });

  it('traces with the API of OpenTelemetry, which a program brings', () => {
    const program =
      "try { console.log(Object.keys(require('majordomo-sdk/otel')).join()); }" +
      'catch (error) { console.log(error.code); }';
    expect(run(process.execPath, ['-e', program], withSdk)).toBe('ERR_MODULE_NOT_FOUND\n');
    const api = join(withSdk, 'node_modules/@opentelemetry/api');
    mkdirSync(dirname(api));
    symlinkSync(resolve('node_modules/@opentelemetry/api'), api);
    try {
      const names = 'clientTracing,workerTracing\n';
      expect(run(process.execPath, ['-e', program], withSdk)).toBe(names);
    } finally {
      rmSync(dirname(api), { recursive: true });
    }
  });

  it('is imported from two files of half a MiB, as ES modules and as CommonJS', () => {
    const dist = join(packageFolder('majordomo-sdk'), 'dist');
    for (const [extension, imports] of [
      ['js', /from\s*['"`](\.[^'"`]+)/g],
      ['cjs', /require\(['"`](\.[^'"`]+)/g],
    ] as const) {
      const needed = new Set([`./index.${extension}`]);
      let bytes = 0;
      // A Set visits what is added to it meanwhile.
      for (const path of needed) {
        const text = readFileSync(join(dist, path), 'utf8');
        bytes += text.length;
        for (const [, other = ''] of text.matchAll(imports)) needed.add(other);
      }
      expect([...needed]).toEqual([`./index.${extension}`, `./sdk.${extension}`]);
      expect(bytes).toBeLessThan(MIB / 2);
    }
  });

  it('is one copy for import and require', () => {
    const program =
      "import { createRequire } from 'node:module'; import { Client } from 'majordomo-sdk';" +
      "import { Client as Same } from 'majordomo-sdk/client';" +
      "const { Client: Required } = createRequire(import.meta.url)('majordomo-sdk');" +
      'console.log(Client === Required && Client === Same);';
    write(withSdk, { 'both.mjs': program });
    expect(run(process.execPath, ['both.mjs'], withSdk)).toBe('true\n');
  });
});

interface Kind {
  readonly name: 'majordomo-broker' | 'majordomo-sdk';
  readonly options: Readonly<Record<string, unknown>>;
  /** Programs: `.mts` is an ES module, `.cts` CommonJS. */
  readonly programs: readonly string[];
  /** The package of its compiler; by default the newest. */
  readonly compiler?: string;
}

const BOTH = ['program.mts', 'program.cts'];
const BUNDLER = { module: 'preserve', moduleResolution: 'bundler' };
const NEWEST = '@typescript/native';
/** The oldest that the types are for. */
const OLDEST = 'typescript-least';
const OLD = { name: 'majordomo-sdk', compiler: OLDEST } as const;
const KINDS: readonly (readonly [string, Kind])[] = [
  ['nodenext', { name: 'majordomo-sdk', options: { module: 'nodenext' }, programs: BOTH }],
  [
    'nodenext and the broker',
    { name: 'majordomo-broker', options: { module: 'nodenext' }, programs: BOTH },
  ],
  ['node16', { name: 'majordomo-sdk', options: { module: 'node16' }, programs: ['program.cts'] }],
  ['bundler', { name: 'majordomo-sdk', options: BUNDLER, programs: ['program.mts'] }],
  ['nodenext of TypeScript 5.0', { ...OLD, options: { module: 'nodenext' }, programs: BOTH }],
  [
    'bundler of TypeScript 5.0',
    { ...OLD, options: { ...BUNDLER, module: 'es2022' }, programs: ['program.mts'] },
  ],
];

describe('a program in TypeScript compiles and runs', () => {
  it.each(KINDS)('with %s', (title, { name, options, programs, compiler = NEWEST }) => {
    const broker = name === 'majordomo-broker';
    const program = join(broker ? withBroker : withSdk, title.replaceAll(' ', '-'));
    mkdirSync(program);
    const compilerOptions = {
      target: compiler === OLDEST ? 'es2022' : 'es2023',
      // (The types of Node need what the newest `es2023` has.)
      lib: compiler === OLDEST ? ['es2023', 'dom'] : ['es2023'],
      strict: true,
      exactOptionalPropertyTypes: true,
      // The types of Node do not pass the check of the oldest compiler; what ours say is checked by their use.
      skipLibCheck: compiler === OLDEST,
      outDir: 'out',
      rootDir: '.',
      types: ['node'],
      ...options,
    };
    write(program, {
      'package.json': '{}',
      'tsconfig.json': JSON.stringify({ compilerOptions }),
    });
    const text = typed(broker ? `${name}/client` : name, broker ? `${name}/worker` : name);
    for (const path of programs) write(program, { [path]: text });
    run(process.execPath, [resolve('node_modules', compiler, 'bin/tsc'), '-p', '.'], program);
    for (const path of programs) {
      const made = join('out', path.replace('ts', 'js'));
      expect(run(process.execPath, [made], program)).toBe('ERR_MDP_UNREACHABLE\n');
    }
  });
});
