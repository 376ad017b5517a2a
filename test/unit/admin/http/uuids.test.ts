import { secureRandom } from '../../../../src/core/random.js';
import { Cursors, shownUuid } from '../../../../src/admin/http/uuids.js';

const UUID = Buffer.from('0193F0C0A1B27000812345678900ABCD', 'hex');
const HEX = UUID.toString('hex').toUpperCase();

describe('uuids of stored requests', () => {
  it('are whole with a token, and cut in half without', () => {
    expect(shownUuid(UUID, 'reader')).toBe(HEX);
    expect(shownUuid(UUID, 'changer')).toBe(HEX);
    expect(shownUuid(UUID, 'anyone')).toBe('0193F0C0A1B27000…');
  });
});

describe('cursors of lists', () => {
  const cursors = new Cursors(secureRandom);

  it('can be read back, and reveal no uuid without a token', () => {
    const sealed = cursors.shown(UUID, 'anyone');
    expect(Buffer.from(sealed, 'base64url').includes(UUID)).toBe(false);
    expect(sealed.toUpperCase()).not.toContain(HEX);
    expect(cursors.read(sealed, 'anyone')).toEqual(UUID);
    expect(cursors.shown(UUID, 'reader')).toBe(HEX);
    expect(cursors.read(HEX, 'reader')).toEqual(UUID);
    // A list may begin before the token is entered.
    expect(cursors.read(sealed, 'changer')).toEqual(UUID);
  });

  it('may be of another size, and those of one list are none of another', () => {
    const place = Buffer.concat([Buffer.alloc(8, 7), UUID]);
    for (const caller of ['anyone', 'reader'] as const) {
      const shown = cursors.shown(place, caller);
      expect(cursors.read(shown, caller, place.length)).toEqual(place);
      expect(cursors.read(shown, caller)).toBeNull();
      expect(cursors.read(cursors.shown(UUID, caller), caller, place.length)).toBeNull();
    }
  });

  it('chosen by a client without a token are refused, so that it cannot search for a uuid', () => {
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
