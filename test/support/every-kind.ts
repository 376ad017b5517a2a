/** A store file that has rows of every kind. */
import { packFailure } from '../../src/store/failure-codec.js';
import { extraOf } from '../../src/store/fields.js';
import { FieldWriter } from '../../src/core/numbered-fields.js';
import { PackWriter } from '../../src/core/value-bytes.js';
import { openSqliteStore } from '../../src/store/sqlite/sqlite-store.js';
import { ownOfGroup, packOwn } from '../../src/store/own-fields.js';
import type { Change } from '../../src/store/store.js';
import {
  accept,
  advance,
  attempt,
  close,
  dead,
  expire,
  NOON,
  reply,
  retry,
  uuidOf,
} from './store-changes.js';
import { packed } from './store-pair.js';
import { StoreUser } from './store-user.js';

const body = packed('body');
const answer = packed('answer');
/** Not UTF-8, and with zero bytes. */
const BYTES = Buffer.from([0, 0xff, 0xfe, 0x27, 0x5c, 0]);

/** A field of a later version. */
function unknown(): Buffer {
  const to = new PackWriter(64);
  new FieldWriter(to).bytes(BYTES, 60);
  return to.takeBuffer();
}

const LINE = { name: 'nightly', cron: '0 3 * * *', timeZone: 'UTC', service: BYTES };
const PAUSED = { service: BYTES, schedule: Buffer.alloc(0) };
const LIMITED = {
  ...{ service: BYTES, by: 'älice', running: '2', perSecond: '0.5', burst: '3' },
  ...{ groupRunning: '1', groupPerSecond: '', groupBurst: '', onFailure: 'hold' },
};
const TOLD = { url: 'https://hooks.example/', service: BYTES };
const NEVER = NOON + 2 ** 40 - 1;

function everyKind(): Change[] {
  const failure = packFailure({
    kind: 'final',
    code: 'broken',
    text: 'it broke: “quite”',
    detail: [BYTES],
  });
  const failed = attempt(8, 1);
  const owned = { owner: 'key:älice' as const };
  return [
    accept(1, { body }),
    accept(2, { body, priority: 100, service: BYTES }),
    accept(3, { body, notBefore: NOON + 60_000, priority: -100 }),
    accept(4, { body, key: 'order-4', ...owned }),
    accept(5, { body, key: `once-${'0'.repeat(32)}`, isShared: true, ...owned }),
    accept(6, { body: packed('') }),
    reply(6, { reply: answer }),
    {
      ...accept(7, { body, key: 'k' }),
      extra: extraOf(null, { backoff: { baseMs: 5, maxMs: 50 } }) ?? BYTES,
    },
    { ...accept(17, { body }), extra: unknown() },
    accept(8, { body }),
    { ...failed, attempt: { ...failed.attempt, failure, extra: unknown() } },
    dead(8),
    accept(9, { body }),
    ...Array.from({ length: 25 }, (_, n) => attempt(9, n + 1)),
    dead(9),
    retry(9, 1),
    attempt(9, 1, 1),
    accept(10, { body, key: 'closed', ...owned }),
    reply(10, { reply: answer }),
    close(10),
    accept(11, { body, key: 'expired' }),
    expire(11),
    accept(12, { body, key: 'of-all' }),
    accept(13, {
      body,
      kind: 'schedule',
      service: Buffer.from('titanic.schedule'),
      own: packOwn('schedule', LINE),
    }),
    advance(13, 1),
    close(14, NOON, 'key:bob'),
    // A gap in the numbers, and an id that is not in their order.
    accept(15, { body, number: 500, uuid: Buffer.alloc(16, 0xee) }),
    accept(16, { body, number: 400, uuid: Buffer.alloc(16, 1) }),
    accept(18, {
      body,
      kind: 'pause',
      own: packOwn('pause', PAUSED),
      notBefore: NEVER,
      expiresAt: NEVER,
    }),
    accept(19, { body, partner: uuidOf(20) }),
    accept(20, { body, kind: 'webhook', partner: uuidOf(19), own: packOwn('webhook', TOLD) }),
    accept(22, {
      body,
      kind: 'limit',
      own: packOwn('limit', LIMITED),
      notBefore: NEVER,
      expiresAt: NEVER,
    }),
    accept(23, { body, own: ownOfGroup(BYTES) }),
    // Of a later version.
    accept(21, { body, kind: 'kind-9' }),
  ];
}

/** @param more further pending requests, a third of them replied */
export async function makeEveryKind(path: string, more = 0): Promise<void> {
  const user = await StoreUser.open(openSqliteStore(path));
  // As of a pair: closes leave tombstones.
  for (const change of everyKind()) await user.commitSo({ tombstones: 'all' }, change);
  const size = 1000;
  for (let from = 0; from < more; from += size) {
    const batch: Change[] = [];
    for (let n = 1000 + from; n < 1000 + Math.min(more, from + size); n++) {
      batch.push(accept(n, { body: packed('x'.repeat(100)), number: n }));
      if (n % 3 === 0) batch.push(reply(n, { reply: answer }));
    }
    await user.commit(...batch);
  }
  await user.close();
}
