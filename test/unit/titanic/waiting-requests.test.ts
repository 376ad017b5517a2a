import { Frames } from '../../../src/core/frames.js';
import { Holdings } from '../../../src/core/holdings.js';
import { pack, packedBytes } from '../../../src/core/packed.js';
import { NO_OWN } from '../../../src/store/fields.js';
import { ownOfGroup } from '../../../src/store/own-fields.js';
import {
  type Sender,
  type WaitingNumber,
  type WaitingRequest,
  WaitingRequests,
} from '../../../src/titanic/machine/requests/waiting-requests.js';
import { readTspSubmit } from '../../../src/wire/tsp.js';

const holdings = new Holdings();
const ALICE: Sender = { party: 'key:alice', owner: 'key:alice', memory: holdings.use('alice') };
const BOB: Sender = { party: 'bob', owner: 'anonymous', memory: holdings.use('bob') };
type Facts = Omit<WaitingRequest, keyof Sender | 'service' | 'body' | 'extra' | 'own'>;
const FACTS: Facts = {
  id: 7,
  priority: 0,
  acceptedAt: 1_700_000_000_001,
  notBefore: 1_700_000_000_002,
  expiresAt: 1_800_000_000_003,
  maxAttempts: 3,
  isShared: false,
  key: null,
  saysExisted: false,
};

function framesOf(...bytes: readonly Buffer[]): Frames {
  const frames = new Frames();
  for (const each of bytes) frames.push(each, 0, each.length);
  return frames;
}

function add(
  waiting: WaitingRequests,
  sender: Sender,
  { id, key, ...facts }: Facts,
  service: Buffer,
  extra: Buffer | null,
  ...body: readonly Buffer[]
): { readonly number: WaitingNumber; readonly wanted: WaitingRequest } {
  const { saysExisted: existed } = facts;
  const options = JSON.stringify({ ...(key === null ? {} : { key: key.toString() }), existed });
  const frames = framesOf(Buffer.from(options), service, ...body);
  const read = readTspSubmit(frames, 0);
  if (read.fault !== null) throw new Error(read.fault);
  const bytes = packedBytes(frames, 2, frames.count);
  const own = extra === null ? NO_OWN : ownOfGroup('g'.repeat(Math.min(255, extra.length)));
  const number = waiting.add(id, sender, facts, frames, read, bytes, extra, own);
  const packed = Buffer.alloc(bytes);
  pack(frames, 2, frames.count, packed, 0, false);
  return { number, wanted: { id, key, ...facts, ...sender, service, extra, own, body: packed } };
}

describe('requests that wait for their batch', () => {
  it.each([
    ['of the usual kind', FACTS, 'echo', 100],
    ['with an empty body', FACTS, 'echo', 0],
    ['with all options', { ...FACTS, key: Buffer.from('k'), isShared: true, priority: 5 }, 'e', 9],
    ['whose answer says whether it existed', { ...FACTS, saysExisted: true }, 'e', 9],
    ['with the lowest priority and the longest key', most(-100), 's'.repeat(255), 300],
    ['with the highest priority, larger than a page', most(100), 's'.repeat(255), 20_000],
  ])('one %s comes out as it went in', (_, facts, service, bodyBytes) => {
    const waiting = new WaitingRequests();
    const body = Buffer.alloc(bodyBytes, 'b');
    for (const extra of [null, Buffer.from('{"a":"b"}'), Buffer.alloc(8192, 'h')]) {
      const name = Buffer.from(service);
      const { number, wanted } = add(waiting, ALICE, facts, name, extra, body, body);
      expect(waiting.take(number)).toEqual(wanted);
    }
  });

  it('what was taken out stays as it is when others come in its place', () => {
    const waiting = new WaitingRequests();
    for (const bytes of [10, 1000, 10_000, 20_000]) {
      const first = add(waiting, ALICE, FACTS, Buffer.from('one'), null, Buffer.alloc(bytes, '1'));
      const taken = waiting.take(first.number);
      add(waiting, BOB, { ...FACTS, id: 8 }, Buffer.from('two'), null, Buffer.alloc(bytes, '2'));
      expect(taken).toEqual(first.wanted);
    }
  });

  it('senders are told apart, also when they come again and when one has another owner', () => {
    const waiting = new WaitingRequests();
    const renamed: Sender = { ...ALICE, owner: 'key:other' };
    const service = Buffer.from('echo');
    for (let round = 0; round < 3; round++) {
      const added = [ALICE, BOB, renamed, ALICE, BOB, renamed].map((sender, id) =>
        add(waiting, sender, { ...FACTS, id }, service, null, Buffer.from('x')),
      );
      for (const { number, wanted } of added) {
        const taken = waiting.take(number);
        expect(taken).toEqual(wanted);
        expect(taken.memory).toBe(wanted.memory);
      }
    }
  });
});

function most(priority: number): Facts {
  const key = Buffer.alloc(255, 'k');
  return { ...FACTS, id: 2 ** 31 - 1, priority, maxAttempts: 1000, isShared: true, key };
}
