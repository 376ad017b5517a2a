import {
  pauseAfter,
  type Sent,
  WebhookAnswer,
} from '../../../src/extensions/programs/webhook-answer.js';

/** What comes of an answer in these pieces, and how many of them were read. */
function read(...pieces: readonly (string | Buffer)[]): [sent: Sent | null, read: number] {
  const answer = new WebhookAnswer();
  for (const [at, piece] of pieces.entries()) {
    const sent = answer.read(Buffer.from(piece));
    if (sent !== null) return [sent, at + 1];
  }
  return [null, pieces.length];
}

/** A text in pieces of one character. */
function single(text: string): string[] {
  return text.split(/(?=[^])/);
}

function status(code: number): Sent {
  return { kind: 'status', status: code };
}

function failed(why: string): unknown {
  return { kind: 'failed', why };
}

const INTERIM = 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n';
const OK = 'HTTP/1.1 200 OK\r\n\r\n';

describe('the answer to a webhook', () => {
  it('is read up to the end of its head, in one piece or in several', () => {
    expect(read(`${OK}the body`)).toEqual([status(200), 1]);
    expect(read('HTTP/1.0 404\r\nserver: x\r\n\r', '\n', 'the body')).toEqual([status(404), 2]);
    expect(read(...single(OK))).toEqual([status(200), OK.length]);
    expect(read('HTTP/1.1 200 OK\r\nserver: x\r\n')).toEqual([null, 1]);
  });

  it('may have a few interim answers before it, and no more', () => {
    expect(read(INTERIM.repeat(8) + OK)).toEqual([status(200), 1]);
    expect(read(...single(INTERIM.repeat(2)), OK)[0]).toEqual(status(200));
    const many = failed('more than 8 interim answers');
    expect(read(INTERIM.repeat(9) + OK)).toEqual([many, 1]);
    expect(read(...Array.from({ length: 100 }, () => INTERIM))).toEqual([many, 9]);
    expect(read('HTTP/1.1 101 Switching Protocols\r\n\r\n')).toEqual([status(101), 1]);
  });

  it('is read up to 16 KiB in all, of which what follows the head is no part', () => {
    const long = `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(16_000)}`;
    expect(read(`${long}\r\n\r\n${'x'.repeat(60_000)}`)).toEqual([status(200), 1]);
    const over = failed('no status in the first 16384 bytes');
    expect(read(`${long}${'x'.repeat(60_000)}\r\n\r\n`)).toEqual([over, 1]);
    const interim = `HTTP/1.1 103 \r\nx: ${'x'.repeat(6000)}\r\n\r\n`;
    expect(read(interim, interim, interim, OK)).toEqual([over, 3]);
  });

  it('is read in up to 128 pieces, however small they are', () => {
    const [sent, pieces] = read(...single(`HTTP/1.1 200 OK\r\nx: ${'x'.repeat(1000)}`));
    expect([sent, pieces]).toEqual([failed('no status in the first 128 pieces'), 128]);
  });

  it.each([
    'SSH-2.0-OpenSSH_9.2\r\n',
    'HTTP/2 200 OK\r\n\r\n',
    'HTTP/1.1 20 OK\r\n\r\n',
    '\0'.repeat(13),
  ])('is a failure at once if it is not HTTP/1.1: %j', (text) => {
    expect(read(text, 'x')).toEqual([failed('the answer is not HTTP/1.1'), 1]);
  });
});

describe('the field Retry-After of an answer', () => {
  it.each([
    [429, 'Retry-After: 120', { retryAfter: '120' }],
    [503, 'server: x\r\nretry-after:\t7 ', { retryAfter: '7 ' }],
    [503, 'Retry-After:', { retryAfter: '' }],
    [429, 'x-retry-after: 7', {}],
    [500, 'Retry-After: 120', {}],
    [200, 'Retry-After: 120', {}],
  ])('is read of %i with %j', (code, fields, rest) => {
    expect(read(`HTTP/1.1 ${code} X\r\n${fields}\r\n\r\n`)).toEqual([
      { kind: 'status', status: code, ...rest },
      1,
    ]);
  });

  const WALL = Date.UTC(2026, 0, 1);

  it.each([
    ['120', 120_000],
    ['7 ', 7000],
    ['0', 0],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
    ['Thursday, 01-Jan-26 00:01:00 GMT ', 60_000],
    ['Thu Jan  1 00:01:00 2026', 60_000],
    ['Wed, 31 Dec 2025 23:59:00 GMT', 0],
    ['', 0],
    ['-5', 0],
    ['1.5', 0],
    ['2026', 2_026_000],
    ['soon', 0],
  ])('%j is a pause of %i ms', (field, pauseMs) => expect(pauseAfter(field, WALL)).toBe(pauseMs));

  it('is in GMT, wherever the broker is', () => {
    const before = process.env['TZ'];
    process.env['TZ'] = 'Asia/Tokyo';
    try {
      expect(new Date(WALL).getHours()).toBe(9);
      expect(pauseAfter('Thu Jan  1 00:01:00 2026', WALL)).toBe(60_000);
    } finally {
      if (before === undefined) delete process.env['TZ'];
      else process.env['TZ'] = before;
    }
  });
});
