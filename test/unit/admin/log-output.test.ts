import { execFileSync } from 'node:child_process';
import { pbkdf2 } from 'node:crypto';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';

import { LogOutput } from '../../../src/admin/log/log-output.js';
import { until } from '../../support/until.js';

const derived = promisify(pbkdf2);
const directory = mkdtempSync(join(tmpdir(), 'log-output-'));
const open: number[] = [];

afterAll(() => {
  for (const fd of open) closeSync(fd);
  rmSync(directory, { recursive: true });
});

function opened(path: string, flags: string | number): number {
  const fd = openSync(path, flags);
  open.push(fd);
  return fd;
}

/** A pipe that takes about 64 KiB and that nobody reads yet. */
function pipe(name: string): number {
  const path = join(directory, name);
  execFileSync('mkfifo', [path]);
  return opened(path, constants.O_RDWR | constants.O_NONBLOCK);
}

/** All that waits in a pipe. */
function drained(fd: number): string {
  const buffer = Buffer.alloc(1 << 20);
  try {
    return buffer.toString('latin1', 0, readSync(fd, buffer));
  } catch {
    return '';
  }
}

const lines = Array.from({ length: 2000 }, (_, index) => `line ${index}\n`);
const long = `${'x'.repeat(40_000)}\n`;

describe('LogOutput', () => {
  it('has written every line in its order when it is closed', async () => {
    const path = join(directory, 'file');
    const out = new LogOutput(opened(path, 'w'));
    for (const line of lines) out.write(line);
    await out.close(10_000);
    expect(readFileSync(path, 'utf8')).toBe(lines.join(''));
  });

  it('closes at once when nothing waits, and takes no more lines', async () => {
    const path = join(directory, 'empty');
    const out = new LogOutput(opened(path, 'w'));
    await out.close(10_000);
    out.write('late\n');
    out.flush(10_000);
    expect(readFileSync(path, 'utf8')).toBe('');
  });

  it('goes on where a slow reader let it stop', async () => {
    const fd = pipe('slow');
    const out = new LogOutput(fd);
    for (let count = 0; count < 5; count += 1) out.write(long);
    const closed = out.close(10_000);
    let read = '';
    await until(() => {
      read += drained(fd);
      return read.length >= 5 * long.length;
    }, 'all lines');
    await closed;
    expect(read).toBe(long.repeat(5));
  });

  it('drops lines that nobody reads, when it is closed or flushed', async () => {
    const closing = new LogOutput(pipe('unread'));
    const flushing = new LogOutput(pipe('unread too'));
    for (let count = 0; count < 5; count += 1) {
      closing.write(long);
      flushing.write(long);
    }
    flushing.flush(50);
    await expect(closing.close(50)).resolves.toBeUndefined();
  });

  it('does not try again what another thread was writing when it was closed', async () => {
    const fd = pipe('in flight');
    const out = new LogOutput(fd);
    // Node has four such threads, and the line is written after these.
    const busy = Array.from({ length: 8 }, () => derived('', '', 200_000, 64, 'sha512'));
    out.write('x'.repeat(200_000));
    await out.close(0);
    await Promise.all(busy);
    await until(() => drained(fd) !== '', 'the write that was under way');
    await pause(100);
    expect(drained(fd)).toBe('');
  });

  it('keeps at most 16 MiB', async () => {
    const fd = pipe('bounded');
    const out = new LogOutput(fd);
    for (let count = 0; count < 1000; count += 1) out.write(long);
    let bytes = 0;
    const reading = setInterval(() => {
      bytes += drained(fd).length;
    }, 1);
    await out.close(60_000);
    clearInterval(reading);
    bytes += drained(fd).length;
    expect(bytes).toBeGreaterThan(15 << 20);
    expect(bytes).toBeLessThan(17 << 20);
  });

  it('ends on a full disk', async () => {
    const closing = new LogOutput(opened('/dev/full', 'w'));
    const flushing = new LogOutput(opened('/dev/full', 'w'));
    for (const line of lines) {
      closing.write(line);
      flushing.write(line);
    }
    flushing.flush(60_000);
    await expect(closing.close(60_000)).resolves.toBeUndefined();
  });
});
