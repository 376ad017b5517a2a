import { Frames } from '../../../src/core/frames.js';
import { Inbound } from '../../../src/wire/inbound.js';
import { bytesOf, type FrameText, ids, layouts, scattered, textOf } from './layouts.js';
import { atBroker, type Read } from './readers.js';

type Row = readonly [name: string, message: readonly FrameText[], read: Read];

function request(version: 1 | 2, envelope: FrameText[] | null, service: string, body: string[]) {
  return { kind: 'request', version, envelope, service, body };
}

const CLIENT_ROWS: readonly Row[] = [
  ['0.1 request', ['', 'MDPC01', 'echo', 'hi'], request(1, [], 'echo', ['hi'])],
  [
    '0.2 request without envelope',
    ['MDPC02', '\x01', 'echo', 'hi'],
    request(2, null, 'echo', ['hi']),
  ],
  [
    '0.2 request after a bare delimiter',
    ['', 'MDPC02', '\x01', 'echo', 'hi'],
    request(2, [], 'echo', ['hi']),
  ],
  [
    '0.1 request with empty body frames',
    ['', 'MDPC01', 's', '', 'a', ''],
    request(1, [], 's', ['', 'a', '']),
  ],
  ['0.2 request with empty body frames', ['MDPC02', '\x01', 's', ''], request(2, null, 's', [''])],
  [
    '0.2 request whose name looks like a command',
    ['MDPC02', '\x01', '\x01', 'b'],
    request(2, null, '\x01', ['b']),
  ],
  [
    '0.1 request whose name looks like a header',
    ['', 'MDPC01', 'MDPW01', 'b'],
    request(1, [], 'MDPW01', ['b']),
  ],
  [
    '0.1 request whose body looks like a message',
    ['', 'MDPC01', 's', '', 'MDPW01', '\x01'],
    request(1, [], 's', ['', 'MDPW01', '\x01']),
  ],
];

const HEADERS = '{"tenant":"a"}';

/** Command 0x04 (D67). */
const HEADED_ROWS: readonly Row[] = [
  [
    '0.2 request with deadline and headers',
    ['MDPC02', '\x04', 'echo', '5000', HEADERS, 'hi'],
    { ...request(2, null, 'echo', ['hi']), deadlineMs: 5000, headers: HEADERS },
  ],
  [
    '0.2 request with an envelope and the longest deadline',
    ['', 'MDPC02', '\x04', 'echo', '2147483647', '', 'a', '', 'b'],
    { ...request(2, [], 'echo', ['a', '', 'b']), deadlineMs: 2147483647, headers: '' },
  ],
  [
    '0.2 request with headers and no deadline',
    ['MDPC02', '\x04', 'echo', '', HEADERS, ''],
    { ...request(2, null, 'echo', ['']), deadlineMs: 0, headers: HEADERS },
  ],
  [
    '0.2 request with neither, which stands for a plain one',
    ['MDPC02', '\x04', 'echo', '', '', 'hi'],
    { ...request(2, null, 'echo', ['hi']), deadlineMs: 0, headers: '' },
  ],
  [
    '0.2 request with 8 KiB of headers that are not JSON, which the broker does not read',
    ['MDPC02', '\x04', 'echo', '1', 'x'.repeat(8192), 'hi'],
    { ...request(2, null, 'echo', ['hi']), deadlineMs: 1, headers: 'x'.repeat(8192) },
  ],
];

function ready(version: 1 | 2, service: string, credit: number, declaresCredit: boolean): Read {
  return { kind: 'ready', version, service, credit, declaresCredit, workerName: null };
}

/** What stands in the options of a READY, and the name that is read there (D67). */
const OPTIONS: readonly (readonly [options: FrameText, workerName: string | null])[] = [
  ['{}', null],
  ['{"name":""}', null],
  ['{"name":"host:17"}', 'host:17'],
  [' {"name" : "a",\n "name": "b"} ', 'b'],
  ['{"headers":false,"later":{"name":[1]},"name":"w"}', 'w'],
  ['{"__proto__":{"name":"x"}}', null],
  [textOf(Buffer.from('{"name":"Köln:7"}')), 'Köln:7'],
  // What is not UTF-8 is replaced, and what is half a character stays harmless.
  ['{"name":"\xff"}', '\ufffd'],
  ['{"name":"\\ud83d"}', '\ud83d'],
  ['{"name":"\\u001b[31m<b>\\n"}', '\u001b[31m<b>\n'],
  [`{"name":"${'n'.repeat(64)}"}`, 'n'.repeat(64)],
  [`{"name":"${'n'.repeat(65)}"}`, 'n'.repeat(64)],
  [`{"name":"${'n'.repeat(1013)}"}`, 'n'.repeat(64)],
  [textOf(Buffer.from(`{"name":"${'😀'.repeat(64)}"}`)), '😀'.repeat(64)],
  [textOf(Buffer.from(`{"name":"n${'😀'.repeat(64)}"}`)), `n${'😀'.repeat(63)}`],
];

const WORKER_01 = ['', 'MDPW01'];
const WORKER_02 = ['MDPW02'];
const TOKEN = '\x00\x01token\xff';

const READY_ROWS: readonly Row[] = (
  [
    [1, WORKER_01],
    [2, WORKER_02],
  ] as const
).flatMap(([version, prefix]): Row[] => {
  const name = `0.${String(version)} READY`;
  return [
    [name, [...prefix, '\x01', 'echo'], ready(version, 'echo', 1, false)],
    ...['1', '2', '9', '10', '99', '100', '9999', '10000'].map((credit): Row => [
      `${name} with credit ${credit} (D23)`,
      [...prefix, '\x01', 'echo', credit],
      ready(version, 'echo', Number(credit), true),
    ]),
    [
      `${name} that asks for headers (D67)`,
      [...prefix, '\x01', 'echo', '3', '{"headers":true,"name":"w"}'],
      { ...ready(version, 'echo', 3, true), workerName: 'w', wantsHeaders: true },
    ],
    ...OPTIONS.map(([options, workerName], at): Row => [
      `${name} with options ${at + 1} (D67)`,
      [...prefix, '\x01', 'echo', '3', options],
      { ...ready(version, 'echo', 3, true), workerName },
    ]),
  ];
});

function answer(kind: string, version: 1 | 2, body: FrameText[], client = TOKEN): Read {
  return { kind, version, client, body };
}

const WORKER_ROWS: readonly Row[] = [
  ['0.1 REPLY', [...WORKER_01, '\x03', TOKEN, '', 'r'], answer('final', 1, ['r'])],
  ['0.1 HEARTBEAT', [...WORKER_01, '\x04'], { kind: 'heartbeat', version: 1 }],
  ['0.1 DISCONNECT', [...WORKER_01, '\x05'], { kind: 'disconnect', version: 1 }],
  ['0.1 RETURN', [...WORKER_01, '\x07', TOKEN, ''], answer('return', 1, [])],
  [
    '0.1 RETURN with an empty reason',
    [...WORKER_01, '\x07', TOKEN, '', ''],
    answer('return', 1, ['']),
  ],
  ['0.2 PARTIAL', [...WORKER_02, '\x03', TOKEN, '', 'p'], answer('partial', 2, ['p'])],
  ['0.2 FINAL', [...WORKER_02, '\x04', TOKEN, '', 'f'], answer('final', 2, ['f'])],
  ['0.2 HEARTBEAT', [...WORKER_02, '\x05'], { kind: 'heartbeat', version: 2 }],
  ['0.2 DISCONNECT', [...WORKER_02, '\x06'], { kind: 'disconnect', version: 2 }],
  ['0.2 RETURN', [...WORKER_02, '\x07', TOKEN, ''], answer('return', 2, [])],
  [
    '0.2 FINAL with an empty token, which the broker will not know',
    [...WORKER_02, '\x04', '', '', 'f'],
    answer('final', 2, ['f'], ''),
  ],
];

describe('What a broker reads', () => {
  it.each([...CLIENT_ROWS, ...HEADED_ROWS])(
    'reads a %s frame by frame (§2)',
    (_name, message, read) => {
      for (const frames of layouts(message)) expect(atBroker(frames)).toEqual(read);
    },
  );

  it.each(READY_ROWS)('reads a %s (§3)', (_name, message, read) => {
    for (const frames of layouts(message)) expect(atBroker(frames)).toEqual(read);
  });

  it.each(WORKER_ROWS)('reads a %s (§3, D25)', (_name, message, read) => {
    for (const frames of layouts(message)) expect(atBroker(frames)).toEqual(read);
  });

  it('reads each message alike whatever the reused instance read before', () => {
    const rows = [...CLIENT_ROWS, ...HEADED_ROWS, ...READY_ROWS, ...WORKER_ROWS];
    const inbound = new Inbound();
    for (const [, before] of rows) {
      for (const [, message, read] of rows) {
        inbound.read(scattered(before));
        expect(atBroker(scattered(message), inbound)).toEqual(read);
      }
    }
  });

  it('hands bodies over as views of the bytes that were received, without a copy', () => {
    const chunk = bytesOf('MDPC02\x01echobody');
    const frames = new Frames();
    frames.push(chunk, 0, 6);
    frames.push(chunk, 6, 7);
    frames.push(chunk, 7, 11);
    frames.push(chunk, 11, 15);
    const inbound = new Inbound();
    inbound.read(frames);
    expect(inbound.kind).toBe('request');
    expect(inbound.frames).toBe(frames);
    expect(inbound.frames.buffer(inbound.body)).toBe(chunk);
    const view = inbound.frames.view(inbound.body);
    chunk.write('BODY', 11);
    expect(view.toString()).toBe('BODY');
  });
});

describe('The envelope of a request', () => {
  const commands = [
    [1, ['MDPC01', 'echo', 'hi']],
    [2, ['MDPC02', '\x01', 'echo', 'hi']],
  ] as const;

  it.each([9, 10, 255, 10_000])('may not have %d id frames (D1, D24)', (count) => {
    for (const [, command] of commands) {
      for (const frames of layouts([...ids(count), '', ...command])) {
        expect(atBroker(frames)).toEqual({ kind: 'malformed', of: 'envelope' });
      }
    }
  });

  it('ends at the first empty frame, so that empty body frames change nothing (D24)', () => {
    for (const frames of layouts(['id', '', 'MDPC01', 's', '', 'MDPC02', '\x01', 't', 'b'])) {
      const body = ['', 'MDPC02', '\x01', 't', 'b'];
      expect(atBroker(frames)).toEqual(request(1, ['id'], 's', body));
    }
  });

  it('must be followed by a header at once: a second empty frame is none (D24)', () => {
    for (const [, command] of commands) {
      for (const message of [
        ['', '', ...command],
        ['id', '', '', ...command],
        ['id', '', 'id', '', ...command],
      ]) {
        for (const frames of layouts(message)) {
          expect(atBroker(frames)).toEqual({ kind: 'malformed', of: 'envelope' });
        }
      }
    }
  });

  it.each(['MDPC01', 'MDPW01', 'MDPC03', '\x01', '\x00\x00\x00\x00'])(
    'may have an id that reads %j, in any place (D24)',
    (id) => {
      for (const [version, command] of commands) {
        for (const envelope of [[id], [id, 'b'], ['a', id], [id, id, id]]) {
          for (const frames of layouts([...envelope, '', ...command])) {
            expect(atBroker(frames)).toEqual(request(version, envelope, 'echo', ['hi']));
          }
        }
      }
    },
  );

  it.each(['MDPC02', 'MDPW02'])(
    'may have an id that reads %s, but not as its first (D24)',
    (id) => {
      for (const [version, command] of commands) {
        for (const frames of layouts(['a', id, '', ...command])) {
          expect(atBroker(frames)).toEqual(request(version, ['a', id], 'echo', ['hi']));
        }
        for (const frames of layouts([id, '', ...command])) {
          const of = id === 'MDPC02' ? 'client' : 'worker';
          expect(atBroker(frames)).toEqual({ kind: 'malformed', of });
        }
      }
    },
  );

  it('is not looked for after a 0.2 header in the first place (D24)', () => {
    for (const frames of layouts(['MDPC02', '\x01', 'echo', '', 'MDPC01', 'other', 'b'])) {
      expect(atBroker(frames)).toEqual(request(2, null, 'echo', ['', 'MDPC01', 'other', 'b']));
    }
    for (const frames of layouts(['MDPW02', '\x04', TOKEN, '', 'MDPC01', 'other', 'b'])) {
      expect(atBroker(frames)).toEqual(answer('final', 2, ['MDPC01', 'other', 'b']));
    }
  });

  it('is what a 0.1 header without its delimiter becomes, if a message follows (D24)', () => {
    for (const frames of layouts(['MDPW01', '\x03', TOKEN, '', 'MDPC01', 'echo', 'hi'])) {
      expect(atBroker(frames)).toEqual(request(1, ['MDPW01', '\x03', TOKEN], 'echo', ['hi']));
    }
  });

  it('and a body of thousands of frames are read to the last frame', () => {
    const body = Array.from({ length: 10_000 }, (_, index) => (index % 3 === 0 ? '' : 'x'));
    for (const [version, command] of commands) {
      const read = atBroker(scattered(['id', '', ...command.slice(0, -1), ...body]));
      expect(read).toEqual(request(version, ['id'], 'echo', body));
    }
    const reply = atBroker(scattered(['MDPW02', '\x03', TOKEN, '', ...body]));
    expect(reply).toEqual(answer('partial', 2, body));
  });
});
