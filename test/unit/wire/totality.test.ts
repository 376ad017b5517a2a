import fc from 'fast-check';

import { Inbound } from '../../../src/wire/inbound.js';
import { type FrameText, layouts, reused, textOf } from './layouts.js';
import { atBroker, atClient, atWorker } from './readers.js';

/** Frames that mean something, so that random lists come near to messages. */
const TELLING = [
  '',
  'MDPC01',
  'MDPC02',
  'MDPW01',
  'MDPW02',
  '\x01',
  '\x02',
  '\x03',
  '\x04',
  '\x05',
  '01',
  '04',
];
const FRAMES = [
  ...TELLING,
  '\x06',
  '\x07',
  '\x08',
  '\x00',
  '\x09',
  '\x0a',
  '\x0b',
  '\x0c',
  '02',
  '03',
  '05',
  '08',
  '5',
  '10000',
  '10001',
  '0',
  's',
  '{"name":"w"}',
  '{"name":1}',
  'n'.repeat(256),
  ...['MDPC0', 'MDPC03', 'mdpc01', 'MDPC011', 'MDPW0', 'MDPW03', 'mdpw02', '\x01\x01', '001', '1'],
];

const frame = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...FRAMES) },
  { weight: 1, arbitrary: fc.nat(255).map((code) => String.fromCharCode(code)) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }).map(textOf) },
);
const prefix = fc.constantFrom<readonly FrameText[]>(
  [],
  [''],
  ['a', 'b', ''],
  ['', 'MDPC01'],
  ['MDPC02', '\x01'],
  ['MDPC02', '\x02', 's'],
  ['MDPC02', '\x04', 's'],
  ['a', '', 'MDPC02', '\x04', 's', '5'],
  ['', 'MDPW01', '\x09', 't', ''],
  ['MDPW02', '\x09', 't', '', '5'],
  ['', 'MDPC02', '\x03'],
  ['', 'MDPW01'],
  ['MDPW02'],
  ['', 'MDPW02'],
  ['', 'MDPW01', '\x03', 't', ''],
  ['MDPW02', '\x03', 't', ''],
  ['MDPW02', '\x04', 't', ''],
  ['MDPW02', '\x02', 't', ''],
  ['MDPW02', '\x07', 't'],
  ['MDPW02', '\x0a', 't'],
  ['', 'MDPW01', '\x0a', 't'],
  ['MDPW02', '\x0b', 't', '', 'g'],
  ['', 'MDPW01', '\x0b', 't', '', 'g'],
  ['MDPW02', '\x0c', 's', 'g', '5'],
  ['', 'MDPW01', '\x0c', 's', '', '0'],
  ['MDPW02', '\x0c'],
  ['', 'MDPW01', '\x0c'],
);
/** The frames behind a prefix: often few, because most commands are short. */
const rest = fc.oneof(
  { weight: 1, arbitrary: fc.array(frame, { maxLength: 2 }) },
  { weight: 2, arbitrary: fc.array(frame, { maxLength: 12 }) },
);
const message = fc.tuple(prefix, rest).map(([start, behind]) => [...start, ...behind]);

/** One letter a frame, so that the forms of docs/protocol.md can be said as regular expressions. */
function letters(frames: readonly FrameText[]): string {
  const headers: Readonly<Record<string, string>> = {
    MDPC01: 'c',
    MDPC02: 'C',
    MDPW01: 'w',
    MDPW02: 'W',
  };
  return frames
    .map((text) => {
      if (text === '') return 'e';
      if (text === '\x0a') return 'X';
      if (text === '\x0b') return 'G';
      if (text === '\x0c') return 'R';
      if (text === '0') return 'z';
      if (/^[\0-\x09]$/u.test(text)) return String(text.charCodeAt(0));
      if (/^0[1-9]$/u.test(text)) return '①②③④⑤⑥⑦⑧⑨'.charAt(Number(text) - 1);
      if (/^([1-9][0-9]{0,3}|10000)$/u.test(text)) return 'k';
      if (/^[1-9][0-9]{4,9}$/u.test(text) && Number(text) < 2 ** 31) return 'd';
      if (text === '{"name":"w"}') return 'o';
      return headers[text] ?? (text.length > 255 ? 'x' : 'n');
    })
    .join('');
}

/** §1 to §3, D1, D2, D23 to D25, D66, D67, D101, D113, D118; the first form that fits, none: malformed. */
const BROKER_FORMS: readonly (readonly [RegExp, string])[] = [
  [/^e$/u, 'probe'],
  [/^C[12①][^ex]./u, 'request'],
  [/^(?![CW])[^e]{0,8}e(c|C[12①])[^ex]./u, 'request'],
  [/^C4[^ex][edk]../u, 'request'],
  [/^(?![CW])[^e]{0,8}eC4[^ex][edk]../u, 'request'],
  [/^(ew|e?W)[1①][^ex](k(o.?)?)?$/u, 'ready'],
  [/^(ew[3③]|e?W[4④]).e./u, 'final'],
  [/^e?W[3③].e./u, 'partial'],
  [/^(ew[4④]|e?W[5⑤])$/u, 'heartbeat'],
  [/^(ew[5⑤]|e?W[6⑥])$/u, 'disconnect'],
  [/^(ew|e?W)[7⑦].e.?$/u, 'return'],
  [/^(ew|e?W)[8⑧].e/u, 'fail'],
  [/^(ew|e?W)R[^ex]([^x][kz])+$/u, 'runs'],
];

/** Of whom a malformed message is: it has their header, in its place or behind an envelope (D24). */
const MALFORMED_OF: readonly (readonly [RegExp, string])[] = [
  [/^(ew|e?W|(?!C)[^e]{1,8}e[wW])/u, 'worker'],
  [/^(C|(?!W)[^e]{0,8}e[cC])/u, 'client'],
  [/^/u, 'envelope'],
];

const CLIENT_FORMS: readonly (readonly [RegExp, string])[] = [
  [/^C2[^ex]./u, 'partial'],
  [/^C3[^ex]./u, 'final'],
  [/^(?!C)[^e]{0,8}eC2[^ex]./u, 'partial'],
  [/^(?!C)[^e]{0,8}e(c|C3)[^ex]./u, 'final'],
];

const WORKER_FORMS = {
  1: [
    [/^ew2.e./u, 'request'],
    [/^ew9.e.../u, 'request'],
    [/^ewG.e..../u, 'request'],
    [/^ewR$/u, 'runs'],
    [/^ew4$/u, 'heartbeat'],
    [/^ew5$/u, 'disconnect'],
    [/^ewX.e$/u, 'cancel'],
    [/^(?!ew)/u, 'other'],
  ],
  2: [
    [/^W2.e./u, 'request'],
    [/^W9.e.../u, 'request'],
    [/^WG.e..../u, 'request'],
    [/^WR$/u, 'runs'],
    [/^W5$/u, 'heartbeat'],
    [/^W6$/u, 'disconnect'],
    [/^WX.e$/u, 'cancel'],
    [/^(?!W)/u, 'other'],
  ],
} as const;

function formOf(forms: readonly (readonly [RegExp, string])[], frames: readonly FrameText[]) {
  const text = letters(frames);
  return forms.find(([form]) => form.test(text))?.[1] ?? 'malformed';
}

const RUNS = { numRuns: 4000 };

describe('Any list of frames', () => {
  it('is at the broker what its form says, else malformed, and never throws (§1–3)', () => {
    const inbound = new Inbound();
    fc.assert(
      fc.property(message, message, (before, frames) => {
        const kind = formOf(BROKER_FORMS, frames);
        expect([letters(frames), atBroker(reused(frames, before), inbound)['kind']]).toEqual([
          letters(frames),
          kind,
        ]);
        if (kind === 'malformed') {
          expect([letters(frames), inbound.fault.kind]).toEqual([
            letters(frames),
            formOf(MALFORMED_OF, frames),
          ]);
          expect(inbound.fault.reason).not.toBe('');
        }
      }),
      RUNS,
    );
  });

  it('is at a client a PARTIAL, a FINAL or malformed by its form, and never throws (§2)', () => {
    fc.assert(
      fc.property(message, message, (before, frames) => {
        const read = atClient(reused(frames, before));
        expect([letters(frames), read['kind']]).toEqual([
          letters(frames),
          formOf(CLIENT_FORMS, frames),
        ]);
      }),
      RUNS,
    );
  });

  it.each([1, 2] as const)('is at an 0.%d worker read by its form, and never throws (§3)', (v) => {
    fc.assert(
      fc.property(message, message, (before, frames) => {
        const read = atWorker(v, reused(frames, before));
        expect([letters(frames), read['kind']]).toEqual([
          letters(frames),
          formOf(WORKER_FORMS[v], frames),
        ]);
      }),
      RUNS,
    );
  });

  it('reads the same however its bytes lie in the buffers', () => {
    const inbound = new Inbound();
    fc.assert(
      fc.property(message, message, (before, frames) => {
        const [first, ...others] = layouts(frames, before).map((layout) => [
          atBroker(layout, inbound),
          atClient(layout),
          atWorker(1, layout),
          atWorker(2, layout),
        ]);
        for (const other of others) expect(other).toEqual(first);
      }),
    );
  });

  it('finds every form among the random lists, so that the properties above mean something', () => {
    const seen = new Set<string>();
    for (const frames of fc.sample(message, { numRuns: 200_000, seed: 1 })) {
      seen.add(`broker ${formOf(BROKER_FORMS, frames)}`);
      seen.add(`client ${formOf(CLIENT_FORMS, frames)}`);
      for (const version of [1, 2] as const) {
        seen.add(`worker ${version} ${formOf(WORKER_FORMS[version], frames)}`);
      }
    }
    const broker = [...BROKER_FORMS.map(([, kind]) => kind), 'malformed'];
    for (const kind of broker) expect(seen).toContain(`broker ${kind}`);
    for (const kind of ['partial', 'final', 'malformed']) expect(seen).toContain(`client ${kind}`);
    for (const version of [1, 2] as const) {
      const worker = [...WORKER_FORMS[version].map(([, kind]) => kind), 'malformed'];
      for (const kind of worker) expect(seen).toContain(`worker ${version} ${kind}`);
    }
  });
});
