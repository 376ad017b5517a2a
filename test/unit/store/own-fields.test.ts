/** What only one kind of record has. */
import { FieldWriter } from '../../../src/core/numbered-fields.js';
import { PackWriter } from '../../../src/core/value-bytes.js';
import { type OwnOf, ownOf, packOwn } from '../../../src/store/own-fields.js';

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
    expect(ownOf('request', packOwn('request', {}))).toEqual({});
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
