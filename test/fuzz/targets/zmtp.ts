/** A ZMTP connection, both ends: any bytes in any pieces. */
import {
  COMMAND,
  frame,
  greetingOf,
  HANDSHAKE,
  MORE,
  message,
  Recorded,
  DEALER,
} from '../../unit/zmtp/wire.js';
import { check, Script, type Target } from '../target.js';

const LIMITS = { messageBytesMax: 4096, framesMax: 16 } as const;
/** So small that inputs have messages over it, and over 64 times it. */
const SKIPPING = { messageBytesMax: 20, framesMax: 4, skipsOversized: true } as const;
const PIECES = [1, 2, 7, 64, 509, 65_536] as const;
/** What one side answers of itself: its greeting and READY. Then at most a PONG for each PING. */
const ANSWER_BYTES = 256;
const CARRY_BYTES_MAX = 64 * 1024;

function hear(side: Recorded, bytes: Buffer, piece: number): number {
  let said = 0;
  for (let at = 0; at < bytes.length; at += piece) {
    side.receive(bytes.subarray(at, at + piece));
    said += side.sent().length;
    check(side.connection.carriedBytes <= CARRY_BYTES_MAX, 'it keeps more than a message');
  }
  return said;
}

function run(input: Buffer): void {
  const script = new Script(input);
  const options = script.byte();
  const piece = PIECES[script.below(PIECES.length)] ?? 1;
  const bytes = script.rest();
  const type = (options & 1) === 0 ? 'ROUTER' : 'DEALER';
  const limits = (options & 4) === 0 ? LIMITS : SKIPPING;
  const side = (): Recorded => new Recorded(limits, type, (options & 2) === 0);
  const [whole, cut] = [side(), side()];
  hear(whole, bytes, bytes.length + 1);
  const said = hear(cut, bytes, piece);
  check(
    JSON.stringify([whole.told, whole.messages, whole.heads]) ===
      JSON.stringify([cut.told, cut.messages, cut.heads]),
    `in pieces of ${piece} it is told otherwise: ${JSON.stringify([whole.told, cut.told])}`,
  );
  check(said <= ANSWER_BYTES + 4 * bytes.length, `it answers ${bytes.length} bytes with ${said}`);
  const failures = cut.told.filter((line) => line.startsWith('failed'));
  check(failures.length <= 1, 'it fails twice');
  if (failures.length === 1) {
    check(cut.told.at(-1) === failures[0], 'it goes on after it has failed');
    check(/^[\x20-\x7e]*$/.test(failures[0] ?? ''), 'a reason is more than one printable line');
  }
  for (const each of [whole, cut]) {
    each.connection.close();
    check(each.connection.carriedBytes === 0, 'it keeps bytes of a connection that is closed');
  }
}

const START = Buffer.from([0, 3]);

export function zmtp(): Target {
  const session = (...parts: readonly Buffer[]): Buffer => Buffer.concat([START, ...parts]);
  const ping = frame(COMMAND, '\x04PING\x00\x05context');
  return {
    name: 'zmtp',
    words: [frame(MORE, ''), ping, DEALER, greetingOf(), '\x05READY', '\x04PING', '\x05ERROR'],
    bytesMax: 4096,
    seeds: [
      session(HANDSHAKE, message('', 'MDPC02', '\x01', 'echo', 'hi')),
      session(HANDSHAKE, ping, message('a', 'b'), ping),
      session(HANDSHAKE, frame(0, 'x'.repeat(300)), frame(MORE, ''), frame(0, 'y')),
      Buffer.concat([
        ...[Buffer.from([4, 1]), HANDSHAKE, message('id', '', 'x'.repeat(300)), message('y')],
        ...[frame(MORE, 'z'.repeat(30)), ping, frame(0, ''), frame(MORE, 'z'.repeat(1300))],
      ]),
      session(greetingOf({ mechanism: 'CURVE' })),
      session(greetingOf(), frame(COMMAND, '\x05ERROR\x05wrong')),
    ],
    run,
    repeat: (input, times) => {
      const bytes = input.subarray(2);
      const frames = Array.from({ length: times }, () => bytes);
      return Buffer.concat([input.subarray(0, 1), Buffer.from([5]), HANDSHAKE, ...frames]);
    },
  };
}
