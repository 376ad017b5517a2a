/**
 * A program: commits to a store on a disk whose `fdatasync` a library makes slow or fail
 * (store-disk.test.ts) while the file TROUBLE exists. Prints the outcome as one line of JSON.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

import { openSqliteStore } from '../../src/store/sqlite/sqlite-store.js';
import { accept, uuidOf } from './store-changes.js';
import { StoreUser } from './store-user.js';

/** Turns of the main thread while the disk is in trouble. */
const TURNS = 200;

const [file = '', trouble = ''] = process.argv.slice(2);

const user = await StoreUser.open(openSqliteStore(file));
await user.commit(accept(1));
writeFileSync(trouble, '');
const outcome = user.tryCommit([accept(2)]);
for (let turns = 0; turns < TURNS; turns++) await pause(1);
rmSync(trouble);
const during = await outcome;
const after = await user.tryCommit([accept(3)]);
const found = await user.lookUp(uuidOf(1));
await user.close();
process.stdout.write(JSON.stringify({ during, after, found }));
