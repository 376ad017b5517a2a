import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterEach, describe, expect, it } from '@jest/globals';

import { loadConfig } from '../../../src/config/io/load.js';

const DOCKERFILE = readFileSync('Dockerfile', 'utf8').replaceAll('\\\n', ' ');
const IGNORED = readFileSync('.dockerignore', 'utf8').split('\n');

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** The rest of the last line that begins with this word. */
function instruction(word: string): string {
  const lines = [...DOCKERFILE.matchAll(new RegExp(`^\\s*${word} +(.*)$`, 'gm'))];
  return lines.at(-1)?.[1]?.trim() ?? '';
}

/** The paths of this repository that the image copies. */
function sources(): string[] {
  return Array.from(DOCKERFILE.matchAll(/^COPY +(.*)$/gm), ([, words = '']) => words)
    .filter((words) => !words.includes('--from='))
    .flatMap((words) =>
      words
        .split(/ +/)
        .filter((word) => !word.startsWith('--'))
        .slice(0, -1),
    );
}

async function listen(status: number): Promise<number> {
  const server = createServer((request, response) => {
    response.statusCode = request.url === '/livez' ? status : 404;
    response.end();
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Runs the image's health check, at another port. */
async function health(port: number): Promise<number | null> {
  const command = /HEALTHCHECK .*CMD (\[.*\])/.exec(DOCKERFILE)?.[1] ?? '[]';
  const [program = '', ...args] = JSON.parse(command) as string[];
  expect(program).toBe('node');
  const script = args.map((arg) => arg.replace(':5580/', `:${port}/`));
  const child = spawn(process.execPath, script, { stdio: 'inherit' });
  await once(child, 'exit');
  return child.exitCode;
}

describe('the image', () => {
  it('is built with every compiler configuration that the build names', () => {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
      readonly scripts: { readonly build: string };
    };
    const named = scripts.build.match(/tsconfig[\w.]*\.json/g) ?? [];
    expect(named.length).toBeGreaterThan(0);
    expect(sources()).toEqual(expect.arrayContaining(named));
  });

  it('copies only existing files that the builder gets', () => {
    expect(sources()).toContain('package-lock.json');
    for (const source of sources()) {
      expect([source, existsSync(source)]).toEqual([source, true]);
      const isGiven = IGNORED.some(
        (line) => line.startsWith('!') && `${source}/`.startsWith(`${line.slice(1)}/`),
      );
      expect([source, isGiven]).toEqual([source, true]);
    }
  });

  it('gets nothing else: no data directory, no key, no modules of this machine', () => {
    const firstRule = IGNORED.find((line) => line !== '' && !line.startsWith('#'));
    expect(firstRule).toBe('*');
    const given = IGNORED.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
    const used = sources().map((source) => source.replace(/\/$/, ''));
    const isUsed = (path: string): boolean =>
      used.some((each) => `${each}/`.startsWith(`${path}/`));
    expect(given.filter((path) => !isUsed(path))).toEqual([]);
  });

  it('starts with a configuration that uses its exposed ports and its volume', () => {
    const [, file = ''] = /"-c", "([^"]*)"/.exec(instruction('CMD')) ?? [];
    expect(DOCKERFILE).toContain(`COPY --chmod=0644 deploy/container/majordomo.yaml ${file}\n`);
    const { config, warnings } = loadConfig({ file: 'deploy/container/majordomo.yaml' });
    expect(warnings).toEqual([]);
    expect(config.node.dataDir).toBe(instruction('VOLUME'));
    const [listener] = config.broker.listen;
    const ports = [listener?.endpoint, config.http.listen].map((text) => text?.split(':').at(-1));
    expect(instruction('EXPOSE').split(' ')).toEqual(expect.arrayContaining(ports));
  });

  it('admits nobody over a network without a key, and keeps its keys in the volume (D78)', () => {
    const { config } = loadConfig({ file: 'deploy/container/majordomo.yaml' });
    const [open, own] = config.broker.listen;
    expect(open?.endpoint).toBe('tcp://0.0.0.0:5555');
    for (const file of [open?.curve?.secretKeyFile, open?.curve?.keysFile]) {
      expect(file).toMatch(new RegExp(`^${instruction('VOLUME')}/`));
    }
    expect(instruction('CMD')).toContain('"--init"');
    expect(DOCKERFILE).toContain(`MAJORDOMO_ENDPOINT=${own?.endpoint}`);
    expect(own?.endpoint).toMatch(/^tcp:\/\/127\.0\.0\.1:/);
  });

  it('runs as a user that is not root, by its number', () => {
    expect(instruction('USER')).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  });

  it('is healthy while /livez answers 200', async () => {
    expect(await health(await listen(200))).toBe(0);
  });

  it('is not healthy when /livez answers anything else, or nothing', async () => {
    const port = await listen(503);
    expect(await health(port)).toBe(1);
    for (const server of servers.splice(0)) await new Promise((done) => server.close(done));
    expect(await health(port)).toBe(1);
  });
});
