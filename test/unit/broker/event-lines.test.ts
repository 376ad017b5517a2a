import { BROKER_EVENTS } from '../../../src/broker/broker-events.js';
import { type EventTable, textOf } from '../../../src/core/event-table.js';

const TABLE: EventTable = BROKER_EVENTS;
const WHO = { key: null, address: '10.0.0.1', worker: 7, workerName: null };

/** The line for people. */
function line(name: string, fields: object): string {
  const row = TABLE[name];
  if (row === undefined) throw new Error(name);
  return textOf(row, { name, ...WHO, ...fields });
}

describe('the lines of the log for people', () => {
  it('name the service of each event that has one', () => {
    const rows = Object.entries(TABLE).filter(([, { fields }]) => 'service' in fields);
    const facts = { reason: 'limit', text: 'why', waited: 'no_worker' };
    const unnamed = rows
      .map(([name]) => name)
      .filter((name) => !line(name, { service: 'tax.rate', ...facts }).includes('tax.rate'));
    expect(rows.length).toBeGreaterThan(5);
    expect(unnamed).toEqual([]);
  });

  it('say why a request was refused or dropped, and a worker lost', () => {
    const service = 'tax.rate';
    expect(
      line('request.refused', { service, reason: 'no_worker', text: 'no worker serves it' }),
    ).toBe('a request for tax.rate was refused: no worker serves it');
    expect(line('request.refused', { service, reason: 'rights', text: 'no right' })).toMatch(
      /^a request for tax\.rate was refused: no right \(.*10\.0\.0\.1\)$/,
    );
    expect(line('request.dropped', { service, reason: 'cancelled', waited: 'no_worker' })).toBe(
      'a request for tax.rate was dropped: its client gave it up, without any part of the answer, and no worker served its service',
    );
    expect(line('worker.lost', { service, reason: 'connection', inFlight: 0 })).toBe(
      'a worker of tax.rate was lost: its connection ended',
    );
  });
});
