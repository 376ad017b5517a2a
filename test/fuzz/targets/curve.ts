/**
 * CURVE, both ends, with somebody between them: bytes are changed, left out, doubled, put in. Whatever
 * he does, nobody hears what the other did not say, and nobody is taken for somebody else.
 */
import type { Authorise } from '../../../src/zmtp/curve/server.js';
import { loadSodium } from '../../../src/zmtp/curve/sodium.js';
import {
  clientEnd,
  curveServer,
  type End,
  type Keys,
  makeKeys,
  serverEnd,
} from '../../unit/zmtp/curve/support.js';
import { check, Script, type Target } from '../target.js';

const TURNS = 6;
const FROM_CLIENT = [['one', 'two'], ['x'.repeat(300)]];
const FROM_SERVER = [['answer'], ['', 'y']];

/** What the one between makes of a piece on its way. */
function tampered(bytes: Buffer, script: Script): Buffer {
  if (bytes.length === 0) return script.isAtEnd ? bytes : script.piece(8);
  const at = (script.byte() * 256 + script.byte()) % bytes.length;
  switch (script.below(8)) {
    case 1: {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ (script.byte() | 1);
      return changed;
    }
    case 2:
      return bytes.subarray(0, at);
    case 3:
      return Buffer.concat([bytes, bytes]);
    case 4:
      return Buffer.concat([bytes.subarray(0, at), script.piece(32), bytes.subarray(at)]);
    case 5:
      return script.piece(255);
    default:
      return bytes;
  }
}

function isBeginning(heard: readonly string[][], said: readonly string[][]): boolean {
  return JSON.stringify(heard) === JSON.stringify(said.slice(0, heard.length));
}

function run(input: Buffer, keys: Keys): void {
  const script = new Script(input);
  const options = script.byte();
  const authorise: Authorise | undefined =
    (options & 1) === 0 ? undefined : () => ({ kind: 'refused' });
  const client = clientEnd(keys);
  const server = serverEnd(curveServer(keys, authorise));
  const ends: readonly End[] = [client, server];
  const isSent = [false, false];
  for (let turn = 0; turn < TURNS; turn++) {
    for (const [index, end] of ends.entries()) {
      if (end.connection.isReady && isSent[index] === false) {
        isSent[index] = true;
        for (const each of index === 0 ? FROM_CLIENT : FROM_SERVER) end.send(...each);
      }
    }
    const there = tampered(client.output(), script);
    const back = tampered(server.output(), script);
    server.hear(there);
    client.hear(back);
  }
  check(isBeginning(server.messages, FROM_CLIENT), 'the server hears what the client did not say');
  check(isBeginning(client.messages, FROM_SERVER), 'the client hears what the server did not say');
  const isLetIn = server.told.some((line) => line.startsWith('ready'));
  check(!(isLetIn && authorise !== undefined), 'a key that is not let in is let in');
  for (const end of ends) {
    end.connection.close();
    check(end.connection.carriedBytes === 0, 'it keeps bytes of a connection that is closed');
  }
}

export async function curve(): Promise<Target> {
  const keys = makeKeys(await loadSodium());
  const quiet = Buffer.alloc(1 + 6 * TURNS);
  const denied = Buffer.from(quiet);
  denied[0] = 1;
  return {
    name: 'curve',
    bytesMax: 256,
    seeds: [
      quiet,
      denied,
      ...Array.from({ length: TURNS * 2 }, (_, turn) => {
        const one = Buffer.from(quiet);
        one[1 + turn * 3 + 2] = 1;
        return one;
      }),
    ],
    run: (input) => run(input, keys),
    // Its cost is that of the keys: as many turns, whatever the input.
    repeat: (input) => input,
  };
}
