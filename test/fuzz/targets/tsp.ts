/** What the bodies of requests for `titanic.*` say: total, and nothing but what 9/TSP and D16 allow. */
import { Frames } from '../../../src/core/frames.js';
import { decodeHeaders } from '../../../src/wire/headers.js';
import {
  readTspRequest,
  readTspSubmit,
  readTspUuid,
  readTspWait,
  uuidText,
} from '../../../src/wire/tsp.js';
import { check, type Target } from '../target.js';
import { framesIn, inputOf } from './codec.js';

function isFault(read: object): boolean {
  return 'fault' in read && typeof read.fault === 'string';
}

function run(input: Buffer): void {
  const list = framesIn(input, 8);
  const frames = Frames.of(...list);
  for (const read of [readTspRequest(frames, 0), readTspSubmit(frames, 0)]) {
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
  const uuid = readTspUuid(frames, 0);
  if (Buffer.isBuffer(uuid)) {
    check(uuidText(uuid) === String(list[0]).toUpperCase(), 'a uuid is another when it is written');
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
      'mmi.',
    ],
    bytesMax: 1024,
    seeds: [
      inputOf(['echo', 'hi']),
      inputOf(['{"key":"a","priority":-100,"delayMs":5,"ttlMs":9,"maxAttempts":3}', 'echo', 'hi']),
      inputOf(['{"headers":{"tenant":"a"}}', 'echo', 'hi']),
      inputOf([uuid]),
      inputOf([uuid.toLowerCase(), '60000']),
    ],
    run,
  };
}
