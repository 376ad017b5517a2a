/**
 * What the broker uses of Node beyond its documentation (docs/adr/0002), tried in this process: other versions of
 * Node work differently, and the broker is slower on them.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import type { AddressInfo, NetConnectOpts, Socket } from 'node:net';
import { promisify } from 'node:util';

import { messageOf } from '../../../core/errors.js';
import { type Finding, ok, problem, warning } from '../../../core/finding.js';
import { SHORTCUTS, type ShortcutName, shortcuts } from '../../../core/shortcut.js';
import { atLeast, leastNode, testedNodes } from '../../../core/version.js';
import type { HandleWriter } from '../../../zmtp/sockets/handle-writer.js';
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
    return problem(name, `Node ${version} is too old`, `install Node ${least} or later`);
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
  const trouble = [];
  for (const attempt of [trySockets, tryResponse, tryFlags]) {
    try {
      await attempt();
    } catch (error) {
      trouble.push(`not all could be tried: ${messageOf(error)}`);
    }
  }
  const unknown = (Object.keys(SHORTCUTS) as ShortcutName[]).flatMap((part) => {
    const { reason } = shortcuts[part];
    return reason === null ? [] : [`${SHORTCUTS[part]}: no, ${reason}`];
  });
  const lines = [...unknown, ...trouble];
  if (lines.length === 0) return ok(name, 'Node works as the fast ways of the broker expect');
  const text = `Node works differently here:\n${lines.join('\n')}`;
  const tested = testedNodes().join(', ');
  return warning(name, text, `the broker works, with more CPU time; all is well on Node ${tested}`);
}

/** Rejects if it does not end in time. */
async function inTime(attempt: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no end within ${TRIED_MS_MAX} ms`)), TRIED_MS_MAX);
  });
  try {
    await Promise.race([attempt, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Sends bytes through a connection as the broker does, and has a second one refused. */
async function trySockets(): Promise<void> {
  const { listen } = await import('../../../zmtp/sockets/listener.js');
  const { ByteSource } = await import('../../../zmtp/sockets/byte-source.js');
  const { HandleWriter } = await import('../../../zmtp/sockets/handle-writer.js');
  const sockets: Socket[] = [];
  const dialled = (where: NetConnectOpts): Socket => {
    const { socket } = ByteSource.dialled(where);
    socket.on('error', () => undefined);
    sockets.push(socket);
    return socket;
  };
  let hasAll = (): void => undefined;
  const all = new Promise<void>((resolve) => {
    hasAll = resolve;
  });
  let read = 0;
  const listening = await listen(
    { host: HOST, port: 0 },
    { connectionsMax: 1, hasReserve: true },
    {
      admits: () => true,
      full: () => undefined,
      failed: () => undefined,
      accepted: (source) => {
        source.socket.on('error', () => undefined);
        sockets.push(source.socket);
        source.read((_bytes, size) => {
          read += size;
          if (read === MUCH_BYTES + 2) hasAll();
          return true;
        });
      },
    },
  );
  const exchange = async (): Promise<void> => {
    const where = { host: HOST, port: listening.port ?? 0 };
    const socket = dialled(where);
    await once(socket, 'connect');
    const writer = new HandleWriter(socket);
    // The first one shows how the stream writes.
    for (const bytes of [1, 1, MUCH_BYTES]) await written(writer, Buffer.alloc(bytes));
    await all;
    const second = dialled(where);
    if (!second.destroyed) await once(second, 'close');
  };
  try {
    await inTime(exchange());
  } finally {
    for (const socket of sockets) socket.destroy();
    listening.close();
  }
}

/** @throws if the write has failed */
async function written(writer: HandleWriter, bytes: Buffer): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const ended = (isFailed: boolean): void => {
      if (isFailed) reject(new Error('a write failed'));
      else resolve();
    };
    const outcome = writer.write([bytes], ended);
    if (outcome !== 'pending') ended(outcome === 'failed');
  });
}

/** Looks whether Node keeps the response of a request where a server that closes looks for it. */
async function tryResponse(): Promise<void> {
  const server = createServer((request, response) => {
    const isShown = Reflect.get(request.socket, '_httpMessage') === response;
    if (!isShown) shortcuts.repeating.giveUp('a socket does not show its response');
    response.end();
  });
  server.listen(0, HOST);
  try {
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await inTime(once(get({ host: HOST, port, agent: false }), 'response'));
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

/** Asks for the flags: V8 only prints a line if it lacks one that is set. */
async function tryFlags(): Promise<void> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--v8-options']);
  const missing = Object.keys(V8_FLAGS).filter((name) => !stdout.includes(`--${name} (`));
  if (missing.length > 0) shortcuts.flags.giveUp(`V8 has no ${missing.join(', ')}`);
}
