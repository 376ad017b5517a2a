/**
 * What the broker uses of Node beyond its documentation (docs/adr/0002), tried in this process: other versions of
 * Node work differently, and the broker is slower on them.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';

import { messageOf } from '../../../core/errors.js';
import { type Finding, ok, warning } from '../../../core/finding.js';
import { SHORTCUTS, type ShortcutName, shortcuts } from '../../../core/shortcut.js';
import { atLeast, leastNode, testedNodes } from '../../../core/version.js';
import { V8_FLAGS } from '../../serve/v8-flags.js';

const HOST = '127.0.0.1';
/** More than the kernel buffers, so that a write has to wait. */
const MUCH_BYTES = 16 * 1024 * 1024;
const TRIED_MS_MAX = 5000;

/** Whether this version of Node is one that the broker runs on, and not newer than any that it was run on. */
export function nodeVersion(version = process.versions.node): Finding {
  const name = 'node';
  const least = leastNode();
  if (!atLeast(version, least)) {
    const remedy = `install Node ${least} or later`;
    return { name, state: 'problem', text: `Node ${version} is too old`, remedy };
  }
  const tested = testedNodes();
  const [major] = version.split('.');
  const ofLine = tested.filter((each) => each.startsWith(`${major}.`));
  const isRun = (ofLine.length > 0 ? ofLine : tested).some((each) => atLeast(each, version));
  if (isRun) return ok(name, `Node ${version}`);
  return warning(
    name,
    `Node ${version} is newer than those on which this version was run: ${tested.join(', ')}`,
    'it will most likely work; if anything fails, use one of those',
  );
}

/** Whether this Node works as the fast ways of the broker expect. */
export async function runtime(): Promise<Finding> {
  const name = 'runtime';
  const remedy = `everything works, with more CPU time; Node ${testedNodes().join(', ')} have all`;
  try {
    const unknown = await Promise.race([tried(), timeout()]);
    if (unknown.length === 0) return ok(name, 'Node works as the fast ways of the broker expect');
    const lines = unknown.map(([part, reason]) => `${SHORTCUTS[part]}: ${reason}`);
    return warning(name, `Node works differently here:\n${lines.join('\n')}`, remedy);
  } catch (error) {
    return warning(
      name,
      `the fast ways of the broker could not be tried: ${messageOf(error)}`,
      remedy,
    );
  }
}

async function timeout(): Promise<never> {
  return await new Promise((_resolve, reject) => {
    setTimeout(() => {
      reject(new Error(`no end within ${TRIED_MS_MAX} ms`));
    }, TRIED_MS_MAX).unref();
  });
}

async function tried(): Promise<(readonly [ShortcutName, string])[]> {
  await trySockets();
  if (!(await showsResponse())) shortcuts.repeating.giveUp('a socket does not show its response');
  const missing = await missingFlags();
  if (missing.length > 0) shortcuts.flags.giveUp(`V8 has no ${missing.join(', ')}`);
  return (Object.keys(SHORTCUTS) as ShortcutName[]).flatMap((part) => {
    const { reason } = shortcuts[part];
    return reason === null ? [] : [[part, reason] as const];
  });
}

/** Sends bytes through a connection as the broker does, and has a second one refused. */
async function trySockets(): Promise<void> {
  const { listen } = await import('../../../zmtp/sockets/listener.js');
  const { ByteSource } = await import('../../../zmtp/sockets/byte-source.js');
  const { HandleWriter } = await import('../../../zmtp/sockets/handle-writer.js');
  let read = 0;
  let arrived = (): void => undefined;
  const all = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const listening = await listen(
    { host: HOST, port: 0 },
    { connectionsMax: 1, hasReserve: true },
    {
      admits: () => true,
      full: () => undefined,
      failed: () => undefined,
      accepted: (source) => {
        source.socket.on('error', () => undefined);
        source.read((_bytes, size) => {
          read += size;
          if (read === MUCH_BYTES + 2) arrived();
          return true;
        });
      },
    },
  );
  const where = { host: HOST, port: listening.port ?? 0 };
  const { socket } = ByteSource.dialled(where);
  socket.on('error', () => undefined);
  try {
    await once(socket, 'connect');
    const writer = new HandleWriter(socket);
    // The first one shows how the stream writes.
    for (const bytes of [1, 1, MUCH_BYTES]) await written(writer, Buffer.alloc(bytes));
    await all;
    const { socket: second } = ByteSource.dialled(where);
    second.on('error', () => undefined);
    if (!second.destroyed) await once(second, 'close');
  } finally {
    socket.destroy();
    listening.close();
  }
}

async function written(
  writer: { write(views: readonly Buffer[], ended: () => void): string },
  bytes: Buffer,
): Promise<void> {
  await new Promise<void>((resolve) => {
    if (writer.write([bytes], resolve) !== 'pending') resolve();
  });
}

/** Whether Node keeps the response of a request where a server that closes looks for it. */
async function showsResponse(): Promise<boolean> {
  let isShown = false;
  const server = createServer((request, response) => {
    isShown = Reflect.get(request.socket, '_httpMessage') === response;
    response.end();
  });
  server.listen(0, HOST);
  try {
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const [response] = (await once(get({ host: HOST, port, agent: false }), 'response')) as [
      NodeJS.ReadableStream,
    ];
    response.resume();
    await once(response, 'end');
    return isShown;
  } finally {
    server.close();
  }
}

/** Those flags that this V8 does not have. */
async function missingFlags(): Promise<readonly string[]> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--v8-options']);
  return Object.keys(V8_FLAGS).filter((name) => !stdout.includes(`--${name} (`));
}
