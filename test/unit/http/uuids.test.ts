import { describe, expect, it } from '@jest/globals';

import { secureRandom } from '../../../src/core/random.js';
import { Cursors, shownUuid } from '../../../src/http/uuids.js';

const UUID = Buffer.from('0193F0C0A1B27000812345678900ABCD', 'hex');
const HEX = UUID.toString('hex').toUpperCase();

describe('uuids of stored requests', () => {
  it('are whole for those who gave a token, and for others half', () => {
    expect(shownUuid(UUID, 'reader')).toBe(HEX);
    expect(shownUuid(UUID, 'changer')).toBe(HEX);
    expect(shownUuid(UUID, 'anyone')).toBe('0193F0C0A1B27000…');
  });
});

describe('cursors of lists', () => {
  const cursors = new Cursors(secureRandom);

  it('lead back, and tell nobody without a token where they lead', () => {
    const sealed = cursors.shown(UUID, 'anyone');
    expect(Buffer.from(sealed, 'base64url').includes(UUID)).toBe(false);
    expect(sealed.toUpperCase()).not.toContain(HEX);
    expect(cursors.read(sealed, 'anyone')).toEqual(UUID);
    expect(cursors.shown(UUID, 'reader')).toBe(HEX);
    expect(cursors.read(HEX, 'reader')).toEqual(UUID);
    // Of a list that was begun before the token was given.
    expect(cursors.read(sealed, 'changer')).toEqual(UUID);
  });

  it('are not taken from those without a token if they chose them: nobody can search for a uuid', () => {
    expect(cursors.read(HEX, 'anyone')).toBeNull();
    const bytes = Buffer.from(cursors.shown(UUID, 'anyone'), 'base64url');
    for (let index = 0; index < bytes.length; index++) {
      const changed = Buffer.from(bytes);
      changed[index] = (changed[index] ?? 0) ^ 1;
      expect(cursors.read(changed.toString('base64url'), 'anyone')).toBeNull();
    }
    const other = new Cursors(secureRandom).shown(UUID, 'anyone');
    for (const wrong of ['', 'x', HEX.slice(2), other]) {
      expect(cursors.read(wrong, 'anyone')).toBeNull();
    }
  });
});
