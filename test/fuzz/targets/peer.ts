/** The frames of a pair's link: total, and their own inverse. */
import { isDeepStrictEqual } from 'node:util';

import { Frames } from '../../../src/core/frames.js';
import { readPeer, writePeer } from '../../../src/wire/pair-codec.js';
import type { PeerMessage } from '../../../src/wire/pair.js';
import { check, type Target } from '../target.js';

const STAMP = { incarnation: 7, sequence: 9 } as const;
const ID = Buffer.alloc(16, 1);
const HOLDS = { storeId: ID, upTo: 5, bodiesUpTo: 4 } as const;

/** The head's length, the head, then what is opaque. */
function run(input: Buffer): void {
  const head = input.subarray(1, 1 + (input[0] ?? 0));
  const rest = input.subarray(1 + head.length);
  const lists = rest.length === 0 ? [[head]] : [[head, rest], [head]];
  for (const list of lists) {
    const read = readPeer(Frames.of(...list));
    if (read === null || 'otherVersion' in read || read.message === null) continue;
    const again = writePeer(read.message, read.stamp, read.version);
    const reread = readPeer(Frames.of(...again));
    check(isDeepStrictEqual(reread, read), 'a peer frame is another when written');
  }
}

const MESSAGES: readonly PeerMessage[] = [
  { kind: 'proof', nonce: ID },
  { kind: 'refuse', reason: 'another pair' },
  { kind: 'join', epoch: 3, holds: HOLDS },
  { kind: 'records', epoch: 3, index: 1, isLast: true, holds: HOLDS, records: Buffer.from('r') },
  { kind: 'taken', epoch: 3, index: 1, number: 5, joined: 1, ranTwice: 0 },
  { kind: 'update', epoch: 3, number: 6, holdsUpTo: 2, batch: Buffer.from('b') },
  { kind: 'confirm', epoch: 3, number: 6, became: 8 },
  { kind: 'probe', epoch: 3, number: 1 },
];

export function peer(): Target {
  const seeds = MESSAGES.map((message) => {
    const [head = Buffer.alloc(0), ...rest] = writePeer(message, STAMP);
    return Buffer.concat([Buffer.from([head.length]), head, ...rest]);
  });
  return { name: 'peer', bytesMax: 512, seeds, words: ['MJP'], run };
}
