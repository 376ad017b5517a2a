/** What only one kind of record has. */
import { FieldWriter } from '../../../src/core/numbered-fields.js';
import { PackWriter } from '../../../src/core/value-bytes.js';
import { groupOf, type OwnOf, ownOf, ownOfGroup, packOwn } from '../../../src/store/own-fields.js';
import type { RecordKind } from '../../../src/store/record-kind.js';

const SCHEDULE: OwnOf<'schedule'> = {
  ...{ name: 'nightly', cron: '0 3 * * *', timeZone: 'Europe/Berlin' },
  service: Buffer.from([0, 255]),
};

describe('what only one kind of record has', () => {
  it('is read as it was written', () => {
    expect(ownOf('schedule', packOwn('schedule', SCHEDULE))).toEqual(SCHEDULE);
    const webhook = { url: 'https://hooks.example/ü', service: Buffer.from('echo') };
    expect(ownOf('webhook', packOwn('webhook', webhook))).toEqual(webhook);
    const pause = { service: Buffer.alloc(0), schedule: Buffer.alloc(16, 7) };
    expect(ownOf('pause', packOwn('pause', pause))).toEqual(pause);
    const group = Buffer.from('Gerät 7');
    expect(ownOf('request', packOwn('request', { group }))).toEqual({ group });
  });

  it('is the group of a request: without one it has nothing, as in 0.1.0', () => {
    const of = (kind: RecordKind, own: Buffer): string => groupOf({ kind, own }).toString();
    expect(ownOfGroup(null)).toHaveLength(0);
    expect(of('request', ownOfGroup(null))).toBe('');
    for (const group of ['a', 'Gerät 7', 'x'.repeat(255)]) {
      expect(of('request', ownOfGroup(group))).toBe(group);
    }
    expect(of('request', ownOfGroup('x'.repeat(256)))).toBe('');
    expect(of('request', Buffer.from('no fields'))).toBe('');
    expect(of('webhook', ownOfGroup('a'))).toBe('');
  });

  it('may have fields of a later version, which are passed over', () => {
    const to = new PackWriter(64);
    const fields = new FieldWriter(to);
    fields.number(7, 9);
    fields.text('later', 30);
    const later = Buffer.concat([to.copy(), packOwn('schedule', SCHEDULE)]);
    expect(ownOf('schedule', later)).toEqual(SCHEDULE);
  });

  it('is refused if a field is missing, too long or no text, or the bytes are no fields', () => {
    const whole = packOwn('schedule', SCHEDULE);
    const wrong = [
      ...[Buffer.alloc(0), whole.subarray(0, -1), Buffer.concat([whole, whole])],
      packOwn('schedule', { ...SCHEDULE, name: '' }),
      packOwn('schedule', { ...SCHEDULE, cron: '*'.repeat(257) }),
      packOwn('webhook', { url: 'https://hooks.example/', service: Buffer.from('echo') }),
      Buffer.from([3, 1, 0, 0, 0, 255, ...packOwn('schedule', { ...SCHEDULE, name: '' })]),
    ];
    expect(wrong.map((packed) => ownOf('schedule', packed))).toEqual(wrong.map(() => null));
  });
});
