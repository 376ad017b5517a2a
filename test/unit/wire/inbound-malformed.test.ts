import { describe, expect, it } from '@jest/globals';

import { DELIMITED_02 } from '../../../src/wire/dialect.js';
import { Inbound } from '../../../src/wire/inbound.js';
import { type FrameText, layouts, scattered, truncations } from './layouts.js';
import { atBroker } from './readers.js';

const PREFIX = { 1: ['', 'MDPW01'], 2: ['MDPW02'] } as const;
const VERSIONS = [1, 2] as const;
const TOKEN = 'token';
const BAD_HEADERS = ['', 'M', 'MDPC0', 'MDPC011', 'MDPC00', 'MDPC03', 'mdpc01', 'MDPX01', 'MDPW0'];
const MORE_BAD_HEADERS = [
  'MDPW00',
  'MDPW03',
  'mdpw02',
  'MDPW020',
  '\0\0\0\0\0\0',
  'XDPC01',
  '\x01',
];

function expectMalformed(
  message: readonly FrameText[],
  of: string,
  before: readonly FrameText[] = message,
): void {
  for (const frames of layouts(message, before)) {
    const inbound = new Inbound();
    const read = atBroker(frames, inbound);
    // One empty frame is a probe (D113).
    if (message.length === 1 && message[0] === '') {
      expect(read).toEqual({ kind: 'probe' });
      continue;
    }
    expect([message, read]).toEqual([message, { kind: 'malformed', of }]);
    expect(inbound.fault.reason).not.toBe('');
  }
}

/** Message, how many of its frames are enough, and the kind of malformed by frames present. */
type Cut = readonly [name: string, message: readonly FrameText[], enough: number, of: string[]];

const CUTS: readonly Cut[] = [
  ['0.1 request', ['', 'MDPC01', 's', 'b'], 4, ['envelope', 'envelope', 'client', 'client']],
  [
    '0.1 request in an envelope',
    ['a', 'b', '', 'MDPC01', 's', 'b', 'c'],
    6,
    ['envelope', 'envelope', 'envelope', 'envelope', 'client', 'client'],
  ],
  ['0.2 request', ['MDPC02', '\x01', 's', 'b'], 4, ['envelope', 'client', 'client', 'client']],
  [
    '0.2 request in an envelope',
    ['a', '', 'MDPC02', '\x01', 's', 'b'],
    6,
    ['envelope', 'envelope', 'envelope', 'client', 'client', 'client'],
  ],
  [
    '0.2 request with headers',
    ['MDPC02', '\x04', 's', '', '', 'b'],
    6,
    ['envelope', ...Array<string>(5).fill('client')],
  ],
  ...VERSIONS.flatMap((version): Cut[] => {
    const prefix = PREFIX[version];
    const v = `0.${String(version)}`;
    const start = version === 1 ? ['envelope', 'envelope'] : ['envelope'];
    const worker = (count: number): string[] => [
      ...start,
      ...Array.from({ length: count }, () => 'worker'),
    ];
    const p = prefix.length;
    const final = version === 1 ? '\x03' : '\x04';
    return [
      [`${v} READY`, [...prefix, '\x01', 's', '5', '{"name":"w"}'], p + 2, worker(2)],
      [`${v} REPLY or FINAL`, [...prefix, final, TOKEN, '', 'b', 'c'], p + 4, worker(4)],
      [`${v} RETURN`, [...prefix, '\x07', TOKEN, '', 'why'], p + 3, worker(3)],
      [`${v} HEARTBEAT`, [...prefix, version === 1 ? '\x04' : '\x05'], p + 1, worker(1)],
      [`${v} DISCONNECT`, [...prefix, version === 1 ? '\x05' : '\x06'], p + 1, worker(1)],
    ];
  }),
  [
    '0.2 PARTIAL',
    ['MDPW02', '\x03', TOKEN, '', 'b'],
    5,
    ['envelope', ...Array<string>(4).fill('worker')],
  ],
];

describe('A message that is cut short', () => {
  it.each(CUTS)('is malformed at every frame count: %s (§2, §3)', (_name, message, enough, of) => {
    expect(of).toHaveLength(enough);
    for (const cut of truncations(message)) {
      if (cut.length < enough) {
        expectMalformed(cut, of[cut.length] ?? '', message);
      } else {
        for (const frames of layouts(cut, message)) {
          expect(atBroker(frames)['kind']).not.toBe('malformed');
        }
      }
    }
  });

  it('is malformed with no frame at all (§1)', () => {
    expectMalformed([], 'envelope', ['MDPC02', '\x01', 's', 'b']);
  });

  it.each([1, 2, 8, 9, 10, 10_000])(
    'is malformed with nothing but %d empty frames (§1)',
    (count) => {
      expectMalformed(Array<string>(count).fill(''), 'envelope');
    },
  );
});

describe('A message with frames too many', () => {
  const rows = VERSIONS.flatMap((version): [string, FrameText[]][] => {
    const prefix = PREFIX[version];
    const v = `0.${String(version)}`;
    return [
      [`${v} READY with a contract`, [...prefix, '\x01', 's', '5', '{}', '{}']],
      [`${v} RETURN with a reason`, [...prefix, '\x07', TOKEN, '', 'why']],
      [`${v} HEARTBEAT`, [...prefix, version === 1 ? '\x04' : '\x05']],
      [`${v} DISCONNECT`, [...prefix, version === 1 ? '\x05' : '\x06']],
    ];
  });

  it.each(rows)('is malformed, by one frame of any content: %s (D24)', (_name, message) => {
    expect(atBroker(scattered(message))['kind']).not.toBe('malformed');
    for (const extra of ['', '1', 'x', 'MDPC01']) expectMalformed([...message, extra], 'worker');
  });

  it.each(rows)('is malformed, by 10,000 frames: %s (D24)', (_name, message) => {
    expectMalformed([...message, ...Array<string>(10_000).fill('x')], 'worker');
  });
});

describe('A header', () => {
  it.each([...BAD_HEADERS, ...MORE_BAD_HEADERS])('that reads %j is no header (§1)', (header) => {
    for (const rest of [['\x01', 's', 'b'], ['s', 'b'], [], ['\x04', TOKEN, '', 'b']]) {
      expectMalformed(['', header, ...rest], 'envelope');
      expectMalformed(['id', '', header, ...rest], 'envelope');
    }
    expectMalformed([header, '\x01', 's', 'b'], 'envelope');
    expectMalformed([header], 'envelope');
  });

  it.each(['MDPC01', 'MDPW01'])('of 0.1, %s, needs its empty delimiter (§2, §3)', (header) => {
    for (const rest of [['s', 'b'], ['\x01', 's'], ['\x04'], []]) {
      expectMalformed([header, ...rest], 'envelope');
    }
  });

  it('of a 0.2 worker may have one delimiter before it, and no second one (D101)', () => {
    for (const rest of [['\x01', 's'], ['\x05'], ['\x04', TOKEN, '', 'b'], ['\x08', TOKEN, '']]) {
      const bare = atBroker(scattered(['MDPW02', ...rest]));
      const delimited = atBroker(scattered(['', 'MDPW02', ...rest]));
      expect(delimited).toEqual({ ...bare, version: DELIMITED_02 });
      expectMalformed(['', '', 'MDPW02', ...rest], 'envelope');
    }
  });

  it.each(['MDPW01', 'MDPW02'])('of a worker, %s, has no envelope (D24)', (header) => {
    for (const envelope of [['a'], ['a', 'b'], Array<string>(8).fill('a')]) {
      for (const rest of [['\x01', 's'], ['\x04'], ['\x05'], ['\x04', TOKEN, '', 'b'], []]) {
        expectMalformed([...envelope, '', header, ...rest], 'worker');
      }
    }
  });

  it.each(['MDPW01', 'MDPW02'])(
    'of a worker, %s, is not helped by ids like commands (D24)',
    (header) => {
      for (const id of ['\x01', '\x03', '\x04', '\x05', '\x06', '\x07']) {
        for (const envelope of [[id], ['a', id], ['a', 'b', id, TOKEN], ['a', id, TOKEN]]) {
          expectMalformed([...envelope, '', header], 'worker');
          expectMalformed([...envelope, '', header, '\x04', TOKEN, '', 'b'], 'worker');
        }
      }
    },
  );
});

describe('A command', () => {
  const bytes = Array.from({ length: 256 }, (_, code) => code);
  const rests = [[], ['s'], ['s', '5'], [TOKEN, '', 'b'], [TOKEN, '']];
  const known = {
    1: new Map([
      [0x01, 'ready'],
      [0x03, 'final'],
      [0x04, 'heartbeat'],
      [0x05, 'disconnect'],
      [0x07, 'return'],
      [0x08, 'fail'],
    ]),
    2: new Map([
      [0x01, 'ready'],
      [0x03, 'partial'],
      [0x04, 'final'],
      [0x05, 'heartbeat'],
      [0x06, 'disconnect'],
      [0x07, 'return'],
      [0x08, 'fail'],
    ]),
  };

  it.each(VERSIONS)('of an 0.%d worker is one of its version, of all 256 bytes (§3)', (version) => {
    for (const code of bytes) {
      const kinds = rests.map((rest) => {
        const message = [...PREFIX[version], String.fromCharCode(code), ...rest];
        return String(atBroker(scattered(message))['kind']);
      });
      const expected = known[version].get(code);
      const read = new Set(kinds.filter((kind) => kind !== 'malformed'));
      expect([code, [...read]]).toEqual([code, expected === undefined ? [] : [expected]]);
    }
  });

  it.each(VERSIONS)('REQUEST is not one that is sent to a broker, in 0.%d (D24)', (version) => {
    for (const rest of [...rests, ['client', '', 'body', 'body']]) {
      expectMalformed([...PREFIX[version], '\x02', ...rest], 'worker');
    }
  });

  it('0x06 of 0.2 means nothing from an 0.1 worker (§3)', () => {
    expectMalformed(['', 'MDPW01', '\x06'], 'worker');
  });

  it("of one version in the other's form is malformed (§3)", () => {
    // 0.1 HEARTBEAT and DISCONNECT are FINAL and HEARTBEAT in 0.2, and the other way round.
    expectMalformed(['MDPW02', '\x04'], 'worker');
    expectMalformed(['', 'MDPW01', '\x04', TOKEN, '', 'b'], 'worker');
    expectMalformed(['', 'MDPW01', '\x05', TOKEN, '', 'b'], 'worker');
  });

  it('of an 0.2 client is 0x01, or 0x02 of some, of all 256 bytes (§2, D113)', () => {
    for (const code of bytes) {
      for (const envelope of [[], [''], ['id', '']]) {
        const read = atBroker(
          scattered([...envelope, 'MDPC02', String.fromCharCode(code), 's', 'b']),
        );
        const isRequest = code === 1 || code === 2;
        expect([code, read['kind']]).toEqual([code, isRequest ? 'request' : 'malformed']);
      }
    }
  });

  it.each(['', '\x01\x01', '\x00\x01', '001', '1'])('that reads %j is none (§2, §3)', (command) => {
    expectMalformed(['MDPC02', command, 's', 'b'], 'client');
    expectMalformed(['', 'MDPC02', command, 's', 'b'], 'client');
    expectMalformed(['MDPW02', command, 's'], 'worker');
    expectMalformed(['', 'MDPW01', command, 's'], 'worker');
  });
});

describe('A service name', () => {
  it.each([0, 256, 257, 65_536])('of %d bytes is malformed (§2)', (size) => {
    const name = 'n'.repeat(size);
    expectMalformed(['', 'MDPC01', name, 'b'], 'client');
    expectMalformed(['MDPC02', '\x01', name, 'b'], 'client');
    expectMalformed(['id', '', 'MDPC02', '\x01', name, 'b'], 'client');
    for (const version of VERSIONS) {
      expectMalformed([...PREFIX[version], '\x01', name], 'worker');
      expectMalformed([...PREFIX[version], '\x01', name, '5'], 'worker');
    }
  });

  it('is measured in bytes, not in characters (D3)', () => {
    const name = Buffer.from('é'.repeat(128)).toString('latin1');
    expect(name).toHaveLength(256);
    expectMalformed(['', 'MDPC01', name, 'b'], 'client');
  });
});

describe('The credit of a READY', () => {
  const wrong = ['', '0', '00', '01', '+1', '-1', '1e3', '1.0', '0x10', ' 1', '1 ', '1\0', 'ten'];
  const wide = [
    '10001',
    '99999',
    '100000',
    '12345678901234567890',
    '9'.repeat(400),
    '\xb2',
    '\x05',
  ];
  const twoPow32 = '4294967297';

  it.each([...wrong, ...wide, twoPow32])(
    'is a decimal number from 1 to 10000 and not %j (D23)',
    (credit) => {
      for (const version of VERSIONS) {
        expectMalformed([...PREFIX[version], '\x01', 's', credit], 'worker');
      }
    },
  );
});

describe('The options of a READY', () => {
  const wrong = ['', ' ', 'x', '5', 'null', 'true', '"name"', '[]', '[{}]', '{', '{}}', '{name:1}'];
  const names = ['1', 'null', 'true', '[]', '["w"]', '{}', '{"name":"w"}'];
  const deep = `{"a":${'['.repeat(500)}`;

  const flags = ['1', '0', 'null', '"true"', '[]', '{}'];

  it.each([
    ...[...wrong, ...names.map((name) => `{"name":${name}}`), deep],
    ...flags.map((flag) => `{"headers":${flag}}`),
  ])('are a JSON object, its name a string, its headers a boolean, and not %j (D67)', (options) => {
    for (const version of VERSIONS) {
      expectMalformed([...PREFIX[version], '\x01', 's', '5', options], 'worker');
    }
  });

  it('are at most 1 KiB (D67)', () => {
    const sized = (bytes: number): string => `{"x":"${'x'.repeat(bytes - 8)}"}`;
    for (const version of VERSIONS) {
      const start = [...PREFIX[version], '\x01', 's', '5'];
      expect(atBroker(scattered([...start, sized(1024)]))['kind']).toBe('ready');
      expectMalformed([...start, sized(1025)], 'worker');
      expectMalformed([...start, sized(1_000_000)], 'worker');
    }
  });

  it('do not stand in the place of the credit (D67)', () => {
    for (const version of VERSIONS) {
      expectMalformed([...PREFIX[version], '\x01', 's', '{"name":"w"}'], 'worker');
      expectMalformed([...PREFIX[version], '\x01', 's', '', '{"name":"w"}'], 'worker');
      expectMalformed([...PREFIX[version], '\x01', 's', '0', '{"name":"w"}'], 'worker');
    }
  });

  it('of a READY before leave nothing to one without (D67)', () => {
    const inbound = new Inbound();
    const start = ['MDPW02', '\x01', 's', '5'];
    expect(atBroker(scattered([...start, '{"name":"w"}']), inbound)['workerName']).toBe('w');
    for (const later of [start, [...start, '{}'], ['MDPW02', '\x01', 's']]) {
      expect(atBroker(scattered(later), inbound)['workerName']).toBeNull();
    }
  });
});

describe('A request with headers', () => {
  const wide = ['2147483648', '9999999999', '99999999999999999999'];
  const wrong = ['0', '01', '+1', '-1', '1.5', '1e3', '1e99', ' 1', '1 ', 'x', '\0', 'null'];

  it.each([...wrong, ...wide])(
    'has a deadline of decimal milliseconds from 1 to 2147483647, and not %j (D66)',
    (deadline) => {
      expectMalformed(['MDPC02', '\x04', 's', deadline, '{}', 'b'], 'client');
      expectMalformed(['id', '', 'MDPC02', '\x04', 's', deadline, '', 'b'], 'client');
    },
  );

  it('has at most 8 KiB of headers (D66)', () => {
    expectMalformed(['MDPC02', '\x04', 's', '1', 'x'.repeat(8193), 'b'], 'client');
  });

  it('names a service of 1 to 255 bytes (§2)', () => {
    for (const name of ['', 'n'.repeat(256)]) {
      expectMalformed(['MDPC02', '\x04', name, '1', '{}', 'b'], 'client');
    }
  });

  it('is none in 0.1, where the command would be the service (D67)', () => {
    const read = atBroker(scattered(['', 'MDPC01', '\x04', 's', '1', '{}', 'b']));
    expect(read).toMatchObject({ kind: 'request', service: '\x04', body: ['s', '1', '{}', 'b'] });
  });

  it('leaves no headers to a request after it (D69)', () => {
    const inbound = new Inbound();
    atBroker(scattered(['MDPC02', '\x04', 's', '1', '{"a":"b"}', 'b']), inbound);
    const plain = atBroker(scattered(['MDPC02', '\x01', 's', 'b']), inbound);
    expect(plain).toEqual({
      kind: 'request',
      version: 2,
      envelope: null,
      service: 's',
      body: ['b'],
    });
    expect(inbound.hasHeaders).toBe(false);
  });
});

describe('A token', () => {
  it.each(VERSIONS)('is followed by an empty frame, in 0.%d (§3, D25)', (version) => {
    const commands = version === 1 ? ['\x03', '\x07'] : ['\x03', '\x04', '\x07'];
    for (const command of commands) {
      for (const second of ['x', '\0', 'token']) {
        expectMalformed([...PREFIX[version], command, TOKEN, second, 'b'], 'worker');
        expectMalformed([...PREFIX[version], command, TOKEN, second], 'worker');
      }
    }
  });
});
