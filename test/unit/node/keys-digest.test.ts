import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Config } from '../../../src/config/config.js';
import { encodeZ85 } from '../../../src/core/z85.js';
import { Keys } from '../../../src/node/io/keys.js';
import { SILENT } from '../../support/logs.js';
import { load } from '../config/support.js';

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'majordomo-keys-'));
  writeFileSync(join(folder, 'own.key'), encodeZ85(Buffer.alloc(32, 1)), { mode: 0o600 });
  for (const [name, byte] of Object.entries({ clients: 2, watchers: 3 })) {
    const publicKey = encodeZ85(Buffer.alloc(32, byte));
    const entry = `- {name: ${name}, publicKey: '${publicKey}'}\n`;
    writeFileSync(join(folder, `${name}.yaml`), entry, { mode: 0o600 });
  }
});

afterEach(() => rmSync(folder, { recursive: true }));

function listener(keys: string): string {
  const curve = `{secretKeyFile: '${folder}/own.key', keysFile: '${folder}/${keys}.yaml'}`;
  return `{endpoint: 'tcp://127.0.0.1:${keys === 'clients' ? 1 : 2}', curve: ${curve}}`;
}

function digestOf(text: string): string {
  const config: Config = load({ text }).config;
  const keys = new Keys(config, SILENT);
  keys.ofPort(config.events.listen?.curve, false, () => undefined);
  keys.ofPort(config.map.listen?.curve, true, () => undefined);
  return keys.digest.toString('hex');
}

describe('the digest of keys that the nodes of a pair compare', () => {
  it('has the keys of listeners, and not those of subscribers, who stay with their node', () => {
    const broker = `broker: {listen: [${listener('clients')}]}\n`;
    const plain = digestOf(broker);
    expect(digestOf('{}')).not.toBe(plain);
    expect(digestOf(`broker: {listen: [${listener('watchers')}]}`)).not.toBe(plain);
    expect(digestOf(`${broker}events: {listen: ${listener('watchers')}}`)).toBe(plain);
  });

  it('has a file that both use', () => {
    const both = listener('clients').replace(':1', ':2');
    const broker = `broker: {listen: [${listener('clients')}]}\n`;
    expect(digestOf(`${broker}events: {listen: ${both}}`)).toBe(digestOf(broker));
  });
});
