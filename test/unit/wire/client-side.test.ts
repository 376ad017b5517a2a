import { Frames } from '../../../src/core/frames.js';
import { clientRequest, readClientReply } from '../../../src/wire/client-side.js';
import { bytesOf, type FrameText, ids, layouts, textOf } from './layouts.js';
import { atClient, type Read } from './readers.js';

type Row = readonly [name: string, message: readonly FrameText[], read: Read];

const NAME_255 = '\xff'.repeat(255);

function reply(
  kind: 'partial' | 'final',
  version: 1 | 2,
  envelope: FrameText[] | null,
  body: FrameText[],
  service = 's',
): Read {
  return { kind, version, envelope, service, body };
}

const ROWS: readonly Row[] = [
  ['0.1 reply', ['', 'MDPC01', 's', 'b'], reply('final', 1, [], ['b'])],
  [
    '0.1 reply in an envelope',
    ['a', 'b', '', 'MDPC01', 's', 'b', ''],
    reply('final', 1, ['a', 'b'], ['b', '']),
  ],
  ['0.2 PARTIAL', ['MDPC02', '\x02', 's', 'p'], reply('partial', 2, null, ['p'])],
  ['0.2 FINAL', ['MDPC02', '\x03', 's', 'f', ''], reply('final', 2, null, ['f', ''])],
  [
    '0.2 PARTIAL in an envelope',
    ['a', '', 'MDPC02', '\x02', 's', ''],
    reply('partial', 2, ['a'], ['']),
  ],
  [
    '0.2 FINAL in an envelope',
    ['a', '', 'MDPC02', '\x03', 's', 'f'],
    reply('final', 2, ['a'], ['f']),
  ],
  [
    '0.2 FINAL after a bare delimiter',
    ['', 'MDPC02', '\x03', 's', 'f'],
    reply('final', 2, [], ['f']),
  ],
  [
    '0.1 reply by a name of 255 bytes',
    ['', 'MDPC01', NAME_255, 'b'],
    reply('final', 1, [], ['b'], NAME_255),
  ],
  [
    '0.2 FINAL by a name of 255 bytes',
    ['MDPC02', '\x03', NAME_255, 'b'],
    reply('final', 2, null, ['b'], NAME_255),
  ],
  [
    '0.1 reply whose body looks like a message',
    ['', 'MDPC01', 's', '', 'MDPC02', '\x02'],
    reply('final', 1, [], ['', 'MDPC02', '\x02']),
  ],
];

const MALFORMED: Read = { kind: 'malformed', explained: true };

function expectMalformed(message: readonly FrameText[]): void {
  for (const frames of layouts(message)) {
    expect([message, atClient(frames)]).toEqual([message, MALFORMED]);
  }
}

describe('What a client reads', () => {
  it.each(ROWS)('reads a %s (§2)', (_name, message, read) => {
    for (const frames of layouts(message)) expect(atClient(frames)).toEqual(read);
  });

  it.each([9, 10, 10_000])('does not read replies behind %d id frames (D1)', (count) => {
    expectMalformed([...ids(count), '', 'MDPC01', 's', 'b']);
    expectMalformed([...ids(count), '', 'MDPC02', '\x03', 's', 'b']);
  });

  it('reads an envelope whose ids look like headers, by the order of D24', () => {
    for (const frames of layouts(['MDPC01', 'MDPC02', '', 'MDPC01', 's', 'b'])) {
      expect(atClient(frames)).toEqual(reply('final', 1, ['MDPC01', 'MDPC02'], ['b']));
    }
    for (const frames of layouts(['MDPC02', '\x03', 's', '', 'MDPC01', 't', 'b'])) {
      expect(atClient(frames)).toEqual(reply('final', 2, null, ['', 'MDPC01', 't', 'b']));
    }
  });

  it('reads a body of 10,000 frames to the last', () => {
    const body = Array<string>(10_000).fill('x');
    for (const frames of layouts(['MDPC02', '\x03', 's', ...body])) {
      expect(atClient(frames)).toEqual(reply('final', 2, null, body));
    }
  });

  it.each([0, 256, 1000])('takes %d bytes for no service name (§2)', (size) => {
    const name = 'n'.repeat(size);
    expectMalformed(['', 'MDPC01', name, 'b']);
    expectMalformed(['MDPC02', '\x02', name, 'b']);
    expectMalformed(['MDPC02', '\x03', name, 'b']);
    expectMalformed(['id', '', 'MDPC02', '\x03', name, 'b']);
  });

  it('hands bodies over as views, without a copy', () => {
    const chunk = bytesOf('MDPC02\x03sbody');
    const frames = new Frames();
    for (const [start, end] of [
      [0, 6],
      [6, 7],
      [7, 8],
      [8, 12],
    ] as const) {
      frames.push(chunk, start, end);
    }
    const read = readClientReply(frames);
    expect(read.kind).toBe('final');
    if (read.kind === 'final') expect(frames.buffer(read.body)).toBe(chunk);
  });
});

describe('What a client sends', () => {
  const service = bytesOf('echo');
  const body = [bytesOf('hi'), bytesOf('')];
  const id = bytesOf('\x00id');

  function sent(version: 1 | 2, correlation: Buffer | null, frames: Buffer[] = body): FrameText[] {
    return clientRequest(version, correlation, service, frames).map(textOf);
  }

  it('is in 0.1 delimiter, header, service, body (7/MDP §MDP/Client)', () => {
    expect(sent(1, null)).toEqual(['', 'MDPC01', 'echo', 'hi', '']);
    expect(sent(1, id)).toEqual(['\x00id', '', 'MDPC01', 'echo', 'hi', '']);
  });

  it('has in 0.2 a delimiter only where there is an envelope (D2)', () => {
    expect(sent(2, null)).toEqual(['MDPC02', '\x01', 'echo', 'hi', '']);
    expect(sent(2, id)).toEqual(['\x00id', '', 'MDPC02', '\x01', 'echo', 'hi', '']);
  });

  it('has at least one body frame (§2: body+)', () => {
    expect(sent(1, null, [])).toEqual(['', 'MDPC01', 'echo', '']);
    expect(sent(2, null, [])).toEqual(['MDPC02', '\x01', 'echo', '']);
  });

  it('carries the bodies that were given, without a copy', () => {
    const frames = clientRequest(2, null, service, body);
    expect([frames[3] === body[0], frames[4] === body[1]]).toEqual([true, true]);
  });
});
