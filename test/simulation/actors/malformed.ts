/** Messages that cannot be parsed, each with the kind that it must be counted as. */
import type { MalformedKind } from '../../../src/wire/inbound.js';
import type { MdpVersion } from '../../../src/wire/mdp.js';
import type { Sent } from '../model/intent.js';
import type { SimRandom } from '../world/random.js';

type Parts = readonly [string, ...string[]];

const ENVELOPE: readonly [Parts, ...Parts[]] = [
  ['garbage'],
  ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', '', 'MDPC01', 's', 'x'],
  ['id', '', 'MDPX01', 's', 'x'],
  ['id', ''],
  ['id', 'MDPC02', '\x01', 's', 'x'],
];

const CLIENT: readonly [Parts, ...Parts[]] = [
  ['', 'MDPC01'],
  ['', 'MDPC01', 's'],
  ['', 'MDPC01', '', 'x'],
  ['', 'MDPC01', 's'.repeat(256), 'x'],
  ['MDPC02', '\x05', 's', 'x'],
  ['MDPC02', '\x01', 's'],
  ['MDPC02', '\x01\x01', 's', 'x'],
  ['MDPC02', '\x04', 's', '1', '{}'],
  ['MDPC02', '\x04', 's', '-1', '{}', 'x'],
  ['id', '', 'MDPC02', '\x04', 's', '', 'h'.repeat(8193), 'x'],
  ['id', '', 'MDPC02', '\x03', 's', 'x'],
];

const WORKER_01: readonly [Parts, ...Parts[]] = [
  ['', 'MDPW01'],
  ['', 'MDPW01', '\x02', 'token', '', 'x'],
  ['', 'MDPW01', '\x06'],
  ['', 'MDPW01', '\x01', 's', '0'],
  ['', 'MDPW01', '\x03', 'token'],
  ['', 'MDPW01', '\x04', 'more'],
  ['id', '', 'MDPW01', '\x04'],
];

const WORKER_02: readonly [Parts, ...Parts[]] = [
  ['MDPW02'],
  ['MDPW02', '\x02', 'token', '', 'x'],
  ['MDPW02', '\x08'],
  ['MDPW02', '\x01', 's', '10001'],
  ['MDPW02', '\x01', 's', '1', '1'],
  ['MDPW02', '\x03', 'token', ''],
  ['MDPW02', '\x04', 'token', 'x'],
];

function malformed(as: MalformedKind, parts: Parts): Sent {
  const frames = parts.map((part) => Buffer.from(part, 'latin1'));
  return { frames, intent: { kind: 'malformed', as } };
}

export function malformedWorkerMessage(random: SimRandom, version: MdpVersion): Sent {
  return malformed('worker', random.pick(version === 1 ? WORKER_01 : WORKER_02));
}

export function malformedMessage(random: SimRandom): Sent {
  switch (random.int(0, 3)) {
    case 0:
      return malformed('envelope', random.pick(ENVELOPE));
    case 1:
      return malformed('client', random.pick(CLIENT));
    case 2:
      return malformedWorkerMessage(random, random.pick([1, 2]));
    default:
      return malformed('too_large', ['(a message over the limits)']);
  }
}
