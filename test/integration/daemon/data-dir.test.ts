import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';

import { openDataDir } from '../../../src/daemon/io/data-dir.js';
import { codeOf } from '../../../src/core/errors.js';
import { removeDaemons, temporaryDirectory } from '../../support/daemon.js';

/** Takes the lock, and lets it go a moment after it is told to. */
const HOLDER = `
const { parentPort, workerData } = require('node:worker_threads');
const Database = require('better-sqlite3');
const lock = new Database(workerData);
lock.exec('BEGIN EXCLUSIVE');
parentPort.once('message', () => setTimeout(() => lock.close(), 20));
parentPort.postMessage('held');
`;

describe('a data directory', () => {
  afterEach(removeDaemons);

  it('that somebody else has only for a moment, as doctor does, is waited for', async () => {
    const directory = temporaryDirectory();
    openDataDir(directory).release();
    const holder = new Worker(HOLDER, { eval: true, workerData: join(directory, 'lock') });
    await once(holder, 'message');
    const exited = once(holder, 'exit');
    holder.postMessage('let it go');
    openDataDir(directory).release();
    await exited;
  });

  it('in use is refused', () => {
    const directory = temporaryDirectory();
    const first = openDataDir(directory);
    let code: string | undefined;
    try {
      openDataDir(directory).release();
    } catch (error) {
      code = codeOf(error);
    }
    first.release();
    expect(code).toBe('ERR_DATA_DIR_IN_USE');
  });
});
