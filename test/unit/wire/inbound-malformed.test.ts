import { DELIMITED_02 } from '../../../src/wire/dialect.js';
import { Inbound } from '../../../src/wire/inbound.js';
import { type FrameText, layouts, scattered } from './layouts.js';
import { atBroker } from './readers.js';

const PREFIX = { 1: ['', 'MDPW01'], 2: ['MDPW02'] } as const;
const VERSIONS = [1, 2] as const;
const TOKEN = 'token';

function expectMalformed(message: readonly FrameText[], of: string): void {
  for (const frames of layouts(message)) {
    const inbound = new Inbound();
    const read = atBroker(frames, inbound);
    expect([message, read]).toEqual([message, { kind: 'malformed', of }]);
    expect(inbound.fault.reason).not.toBe('');
  }
}

describe('A header', () => {
  it('of a 0.2 worker may have one delimiter before it, and no second one (D101)', () => {
    for (const rest of [['\x01', 's'], ['\x05'], ['\x04', TOKEN, '', 'b'], ['\x08', TOKEN, '']]) {
      const bare = atBroker(scattered(['MDPW02', ...rest]));
      const delimited = atBroker(scattered(['', 'MDPW02', ...rest]));
      expect(delimited).toEqual({ ...bare, version: DELIMITED_02 });
      expectMalformed(['', '', 'MDPW02', ...rest], 'envelope');
    }
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

describe('A request with options', () => {
  it('has all of its frames (D117)', () => {
    const whole = ['MDPC02', '\x05', 's', '{}', '', '', '', 'b'];
    expect(atBroker(scattered(whole))).toMatchObject({ kind: 'request', options: '{}', group: '' });
    for (let count = 2; count < whole.length; count++) {
      expectMalformed(whole.slice(0, count), 'client');
    }
  });

  it('has the deadline, headers and name of any request (D66)', () => {
    for (const deadline of ['0', '01', 'x', '2147483648']) {
      expectMalformed(['MDPC02', '\x05', 's', '', '', deadline, '', 'b'], 'client');
    }
    expectMalformed(['MDPC02', '\x05', 's', '', '', '', 'x'.repeat(8193), 'b'], 'client');
    expectMalformed(['MDPC02', '\x05', '', '', '', '', '', 'b'], 'client');
  });

  it('leaves nothing to one without (D117)', () => {
    const inbound = new Inbound();
    atBroker(scattered(['MDPC02', '\x05', 's', '{"once":true}', '', '', '', 'b']), inbound);
    inbound.once = true;
    for (const command of ['\x01', '\x04']) {
      const metadata = command === '\x04' ? ['', ''] : [];
      const read = atBroker(scattered(['MDPC02', command, 's', ...metadata, 'b']), inbound);
      expect(read).not.toHaveProperty('options');
      expect(inbound.once).toBe(false);
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
