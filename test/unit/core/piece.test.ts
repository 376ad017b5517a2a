import {
  freePieceBytes,
  giveBackUnused,
  keepFree,
  Piece,
  pieceBytes,
  pieceOf,
} from '../../../src/core/piece.js';

const SIZE = 1_000_000;

describe('a piece', () => {
  afterEach(() => {
    giveBackUnused();
    giveBackUnused();
    expect(freePieceBytes()).toBe(0);
    keepFree(32 * 1024 * 1024);
  });

  it('is used again when its last user has released it, under another buffer', () => {
    const piece = new Piece(SIZE);
    const { bytes } = piece.words;
    bytes.fill('a');
    const view = bytes.subarray(10, 20);
    piece.hold();
    piece.release();
    expect(view.toString()).toBe('aaaaaaaaaa');
    piece.release();
    // Who looks too late sees no bytes of whoever has the memory now.
    const next = new Piece(SIZE).words.bytes.fill('b');
    expect([bytes.length, view.length, next.length]).toEqual([0, 0, pieceBytes(SIZE)]);
    expect(pieceOf(next)?.words.bytes).toBe(next);
  });

  it('that somebody never releases is left to V8', () => {
    const piece = new Piece(SIZE);
    piece.hold();
    piece.release();
    expect(piece.words.bytes).toHaveLength(pieceBytes(SIZE));
    expect(freePieceBytes()).toBe(0);
  });

  it('takes at most a sixteenth more than its bytes, or pages', () => {
    for (let bytes = 16_385; bytes < 2 ** 30; bytes = Math.ceil(bytes * 1.37)) {
      const taken = pieceBytes(bytes);
      expect(taken).toBeGreaterThanOrEqual(bytes);
      expect(taken).toBeLessThanOrEqual(Math.max(bytes * (1 + 1 / 16), bytes + 4095));
      expect(pieceBytes(taken)).toBe(taken);
    }
  });

  it('is kept free up to a limit', () => {
    const bytes = pieceBytes(SIZE);
    keepFree(2 * bytes);
    const pieces = Array.from({ length: 3 }, () => new Piece(SIZE));
    for (const piece of pieces) piece.release();
    expect(freePieceBytes()).toBe(2 * bytes);
  });

  it('that nobody needed between two looks is given back', () => {
    const bytes = pieceBytes(SIZE);
    const pieces = Array.from({ length: 3 }, () => new Piece(SIZE));
    for (const piece of pieces) piece.release();
    giveBackUnused();
    expect(freePieceBytes()).toBe(3 * bytes);
    new Piece(SIZE).release();
    giveBackUnused();
    expect(freePieceBytes()).toBe(bytes);
    giveBackUnused();
    expect(freePieceBytes()).toBe(0);
  });
});
