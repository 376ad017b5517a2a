import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';

import { refuseExposed } from '../../../src/config/io/exposure.js';
import { loadConfig } from '../../../src/config/io/load.js';
import { makePairKeys } from '../../../src/cli/keys/key-files.js';
import { codeOf, messageOf } from '../../../src/core/errors.js';
import { loadSodium } from '../../../src/zmtp/curve/sodium.js';
import { run } from '../../support/child.js';
import { removeDaemons, temporaryDirectory } from '../../support/daemon.js';

afterEach(removeDaemons);

const FILES = ['backup.key', 'backup.key.pub', 'keys.yaml', 'primary.key', 'primary.key.pub'];

function contentOf(directory: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(directory).map((name) => [name, readFileSync(join(directory, name), 'utf8')]),
  );
}

describe('majordomo keygen --pair', () => {
  it('creates all keys of a pair, prints the configuration lines, and no secret', async () => {
    const directory = join(temporaryDirectory(), 'new', 'keys');
    const { status, stdout, stderr } = await run(['keygen', '--pair', directory]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(readdirSync(directory).sort()).toEqual(FILES);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    for (const name of FILES) {
      const mode = name.endsWith('.pub') ? 0o644 : 0o600;
      expect([name, statSync(join(directory, name)).mode & 0o777]).toEqual([name, mode]);
    }
    const texts = stdout.split('\n# the backup');
    for (const [index, role] of ['primary', 'backup'].entries()) {
      const secret = readFileSync(join(directory, `${role}.key`), 'utf8').trim();
      expect(stdout).not.toContain(secret);
      const file = join(directory, `${role}.yaml`);
      const open = `  role: ${role}\n  listen: tcp://0.0.0.0:5590\n  peer: tcp://192.0.2.7:5590\n`;
      writeFileSync(file, `${texts[index]?.replace('\nbstar:\n', `\nbstar:\n${open}`) ?? ''}\n`);
      await refuseExposed(loadConfig({ file }));
      rmSync(file);
    }
    const [keys] = parseAllDocuments(readFileSync(join(directory, 'keys.yaml'), 'utf8'));
    const publicKey = (role: string): string =>
      readFileSync(join(directory, `${role}.key.pub`), 'utf8').trim();
    expect(keys?.toJS()).toEqual([
      { name: 'primary', publicKey: publicKey('primary'), allow: ['peer'] },
      { name: 'backup', publicKey: publicKey('backup'), allow: ['peer'] },
    ]);
    const again = await run(['keygen', '--pair', directory, '-o', 'json']);
    expect(JSON.parse(again.stdout)).toMatchObject({
      nodes: [{ curve: { serverKey: publicKey('backup') } }, { role: 'backup' }],
    });
    expect((await run(['keygen'])).status).toBe(64);
  });

  it('creates missing files, and overwrites nothing', async () => {
    const directory = temporaryDirectory();
    const crypto = await loadSodium();
    makePairKeys(directory, crypto);
    const before = contentOf(directory);
    for (const missing of ['keys.yaml', 'primary.key.pub', 'backup.key.pub']) {
      rmSync(join(directory, missing));
      makePairKeys(directory, crypto);
      expect(contentOf(directory)).toEqual(before);
    }
  });

  it('leaves no file that is cut off if the disk is full, so that the next run finishes it', async () => {
    const directory = temporaryDirectory();
    const before = 'prlimit --fsize=20 --pid $$';
    const full = await run(['keygen', '--pair', directory], { before });
    expect(full).toMatchObject({ status: 74, stderr: expect.stringContaining('EFBIG') });
    expect(readdirSync(directory)).toEqual([]);
    expect(await run(['keygen', '--pair', directory])).toMatchObject({ status: 0 });
    expect(readdirSync(directory).sort()).toEqual(FILES);
  });

  it('says what is wrong with files that do not belong together', async () => {
    const directory = temporaryDirectory();
    const crypto = await loadSodium();
    makePairKeys(directory, crypto);
    const failure = (): unknown => {
      try {
        makePairKeys(directory, crypto);
        return null;
      } catch (error) {
        return error;
      }
    };
    rmSync(join(directory, 'backup.key'));
    expect(messageOf(failure())).toContain('backup.key.pub: exists and is not overwritten');
    expect(existsSync(join(directory, 'backup.key'))).toBe(false);
    rmSync(join(directory, 'backup.key.pub'));
    expect(messageOf(failure())).toMatch(/keys\.yaml exists but lacks .*- \{ name: backup/);
    writeFileSync(join(directory, 'primary.key.pub'), 'x');
    expect(codeOf(failure())).toBe('ERR_CONFIG_FILE');
  });
});
