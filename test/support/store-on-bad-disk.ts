/**
 * A program: commits to a store on a disk whose `fdatasync` is bent by a library (store-disk.test.ts)
 * while the file TROUBLE is there. Prints what became of it as one line of JSON.
 */
import { rmSync, writeFileSync } from 'node:fs';

import { openSqliteStore } from '../../src/titanic/io/sqlite-store.js';
import { accept, uuidOf } from './store-changes.js';
import { StoreUser } from './store-user.js';

const [file = '', trouble = ''] = process.argv.slice(2);

const user = await StoreUser.open(openSqliteStore(file));
await user.commit(accept(1));
writeFileSync(trouble, '');
let turns = 0;
const timer = setInterval(() => turns++, 1);
const during = await user.tryCommit([accept(2)]);
clearInterval(timer);
rmSync(trouble);
const after = await user.tryCommit([accept(3)]);
const found = await user.lookUp(uuidOf(1));
await user.close();
process.stdout.write(JSON.stringify({ during, after, found, turns }));
