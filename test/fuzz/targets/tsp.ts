/** What the bodies of requests for `titanic.*` say: total, and nothing but what 9/TSP and D16 allow. */
import { isDeepStrictEqual } from 'node:util';

import { Frames } from '../../../src/core/frames.js';
import { ownOf, packOwn } from '../../../src/store/own-fields.js';
import { firstDue, readDueTimes } from '../../../src/titanic/machine/schedules/due-times.js';
import { decodeHeaders } from '../../../src/wire/headers.js';
import {
  readScheduled,
  readTspClose,
  readTspName,
  readTspProgress,
  readTspRequest,
  readTspSchedule,
  readTspSchedules,
  readTspSubmit,
  readTspUuid,
  readTspWait,
  uuidText,
} from '../../../src/wire/tsp.js';
import { check, type Target } from '../target.js';
import { framesIn, inputOf } from './codec.js';

/** The 22nd of November 2026. */
const NOW = 1_795_332_800_000;

function isFault(read: object): boolean {
  return 'fault' in read && typeof read.fault === 'string';
}

function run(input: Buffer): void {
  const list = framesIn(input, 8);
  const frames = Frames.of(...list);
  const schedule = readTspSchedule(frames, 0);
  for (const read of [readTspRequest(frames, 0), readTspSubmit(frames, 0), schedule]) {
    if (read.fault !== null) {
      check(/^[\x20-\x7e]+$/.test(read.fault), 'a fault is more than one printable line');
      continue;
    }
    const name = frames.view(read.service).toString('latin1');
    check(!/^(mmi|titanic)\./.test(name) && name.length > 0, 'a reserved service is taken');
    check(read.body < frames.count, 'a request without a body is taken');
    const { headers } = read.options;
    if (headers !== null) {
      check(decodeHeaders(headers) !== null, 'headers are taken that no worker reads');
      check(headers.length > 2, 'no headers are taken for some');
    }
  }
  if (schedule.fault === null) {
    const { name, cron, timeZone, text, options } = schedule;
    check(options.key === null, 'a schedule has a key of its own');
    check(Object.is(readTspName(Frames.of(Buffer.from(name)), 0), name), 'a name is no name');
    // The store keeps the text with the body, and the rest as fields; they are read when it is due.
    const again = readScheduled(Frames.of(Buffer.from(text), ...list.slice(schedule.body)));
    const isSame = again.fault === null && isDeepStrictEqual(again.options, options);
    check(isSame, 'a schedule is another when it is read from the store');
    const line = { name, cron, timeZone, service: frames.copy(schedule.service) };
    const own = ownOf('schedule', packOwn('schedule', line));
    check(isDeepStrictEqual(own, line), 'the line of a schedule is another when it is read');
    const due = firstDue(readDueTimes(cron, timeZone), NOW);
    const fault = typeof due === 'number' ? '' : due.fault;
    check(typeof due !== 'number' || due > NOW, 'a schedule is due before it is made');
    check(/^[\x20-\x7e]*$/.test(fault), 'a fault of a line is more than one printable line');
  }
  const after = readTspSchedules(frames, 0);
  const named = readTspName(frames, 0);
  if (after.fault === null) check(after.after.length <= 128, 'a name that is too long is taken');
  if (typeof named === 'string') check(named === String(list[0]), 'a name is another');
  const progress = readTspProgress(frames, 0);
  if (progress.fault === null) {
    const { waitMs, place } = progress;
    check(uuidText(progress.uuid) === String(list[0]).toUpperCase(), 'a uuid is another');
    check(waitMs >= 0 && waitMs <= 60_000 && place.length <= 64, 'too much progress is taken');
  }
  const uuid = readTspUuid(frames, 0);
  if (Buffer.isBuffer(uuid)) {
    check(uuidText(uuid) === String(list[0]).toUpperCase(), 'a uuid is another when it is written');
  }
  const close = readTspClose(frames, 0);
  if (close.fault === null) {
    check(uuidText(close.uuid) === String(list[0]).toUpperCase(), 'another uuid is closed');
    check(close.isStrict === list.length > 1, 'a close is strict, or not, by mistake');
  }
  const wait = readTspWait(frames, 0);
  if (!isFault(wait)) {
    const ms = Number(String(list[1]));
    check(Number.isInteger(ms) && ms >= 0 && ms <= 60_000, 'a wait that is too long is taken');
  }
}

export function tsp(): Target {
  const uuid = '0193F0C0A1B27000800000000000ABCD';
  return {
    name: 'tsp',
    words: [
      '{"key":"k"}',
      '"priority":',
      '"delayMs":1',
      '"headers":{"a":"b"}',
      '"ttlMs":',
      '60000',
      uuid,
      'titanic.',
      'strict',
      '{"name":"n","cron":"* * * * *"}',
      '"timeZone":"Europe/Berlin"',
      '{"after":"n"}',
      ...['@daily', ' 30 2 ', '*/5', 'MON#5', ' 2L', ' L ', '31 2-6/2', ' 2027-2199', '1-7#'],
      'mmi.',
    ],
    bytesMax: 1024,
    seeds: [
      inputOf(['echo', 'hi']),
      inputOf(['{"key":"a","priority":-100,"delayMs":5,"ttlMs":9,"maxAttempts":3}', 'echo', 'hi']),
      inputOf(['{"headers":{"tenant":"a"}}', 'echo', 'hi']),
      inputOf([uuid]),
      inputOf([uuid.toLowerCase(), '60000']),
      inputOf([uuid, '1-1795132800000-3:7', '60000']),
      inputOf(['{"name":"n","cron":"30 2 * * MON-FRI","timeZone":"Europe/Berlin"}', 'echo', 'hi']),
      inputOf(['{"cron":"0 */5 9-17 L 2 5#5 2027-2044","name":"n","priority":5}', 'echo', 'hi']),
      inputOf(['{"after":"n"}']),
    ],
    run,
  };
}
