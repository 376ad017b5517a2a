/** Configuration and files of keys: any text gives a configuration or its errors, in bounded time. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { loadConfig } from '../../../src/config/io/load.js';
import { readKeysFile } from '../../../src/config/io/keys-file.js';
import { codeOf, messageOf } from '../../../src/core/errors.js';
import { SCRATCH } from '../../support/scratch.js';
import { check, type Target } from '../target.js';

const LINES_MAX = 101;
const WORDS = [
  'node:',
  'broker:\n  listen:',
  'limits: {',
  'bstar:',
  '- name: alice\n',
  'publicKey: ',
  'allow: [client]',
  'services: ["*"]',
  '&a [',
  '*a',
  '!!set',
  '<<: *a',
  '? ',
  '- ',
  '{',
  '[',
  '"',
  "'",
  '|\n ',
  '\n',
  '16MiB',
  'tcp://*:5555',
];

const KEYS = `- name: alice
  publicKey: "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
  client: [echo, "x.*"]
  worker: ["*"]
- {name: bob, publicKey: "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", allow: [client], services: [a]}
`;

const CONFIG = `node: {name: left, dataDir: ./data}
broker:
  listen:
    - {endpoint: "tcp://127.0.0.1:5555", allow: [client, worker]}
  heartbeatIntervalMs: 1000
limits: {messageBytes: 16MiB, frames: 256}
titanic: {enabled: true, retryBaseMs: 5}
`;

function run(input: Buffer, file: string): void {
  writeFileSync(file, input.subarray(1));
  const isKeys = (input[0] ?? 0) % 2 === 1;
  const read = (): string => {
    try {
      return JSON.stringify(
        isKeys ? readKeysFile(file) : loadConfig({ file, hostName: 'host' }).config,
      );
    } catch (error) {
      const code = codeOf(error);
      if (code !== 'ERR_CONFIG_INVALID' && code !== 'ERR_CONFIG_FILE') throw error;
      const lines = messageOf(error).split('\n');
      check(lines.length <= LINES_MAX, `an error of ${lines.length} lines`);
      check(messageOf(error).length > 0, 'an error says nothing');
      return messageOf(error);
    }
  };
  const first = read();
  if ((input[0] ?? 0) > 127) {
    check(read() === first, 'the same file is read otherwise the second time');
  }
  check(!('polluted' in {}), 'a file has reached a prototype');
}

export function config(): Target {
  const directory = mkdtempSync(join(SCRATCH, 'mdp-fuzz-'));
  const file = join(directory, 'file.yaml');
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  return {
    name: 'config',
    words: [...WORDS, '__proto__: {polluted: 1}', 'constructor: '],
    bytesMax: 2048,
    seeds: [Buffer.from(`\0${CONFIG}`), Buffer.from(`\x01${KEYS}`)],
    run: (input) => run(input, file),
    repeat: (input, times) => {
      const rows = Array.from({ length: times }, () => input.subarray(1));
      return Buffer.concat([input.subarray(0, 1), ...rows]);
    },
  };
}
