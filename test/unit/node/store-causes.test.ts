import { StoreCauses } from '../../../src/node/store-causes.js';
import type { TitanicEvent } from '../../../src/titanic/machine/requests/events.js';

const LOST: TitanicEvent = { name: 'store.lost', text: 'no answer' };
const RETURNED: TitanicEvent = { name: 'store.returned', host: 'db1:5432', awayMs: 1 };
const NO_SESSION: TitanicEvent = { name: 'store.session_lost', text: 'no answer' };
const SESSION: TitanicEvent = { name: 'store.session_taken' };
const BUSY: TitanicEvent = { name: 'store.failed', kind: 'busy', text: 'no answer' };
const FULL: TitanicEvent = { name: 'store.failed', kind: 'full', text: 'the disk is full' };
const HEALED: TitanicEvent = { name: 'store.healed' };

function told(...events: readonly TitanicEvent[]): TitanicEvent[] {
  const passed: TitanicEvent[] = [];
  const causes = new StoreCauses({ emit: (event) => passed.push(event) });
  for (const event of events) causes.emit(event);
  return passed;
}

describe('what happens to the store of a node', () => {
  it('a database that is lost is told once, not also as a lost session and a failed write', () => {
    const outage = [LOST, BUSY, NO_SESSION, NO_SESSION, RETURNED, SESSION, HEALED];
    expect(told(...outage)).toEqual([LOST, RETURNED]);
    expect(told(...outage, ...outage)).toEqual([LOST, RETURNED, LOST, RETURNED]);
  });

  it('a lost session is told once, not also as a failed write', () => {
    expect(told(NO_SESSION, BUSY, NO_SESSION, SESSION, HEALED)).toEqual([NO_SESSION, SESSION]);
  });

  it('no session after the database is back has a cause of its own', () => {
    expect(told(LOST, NO_SESSION, RETURNED, NO_SESSION, NO_SESSION, SESSION)).toEqual([
      ...[LOST, RETURNED, NO_SESSION, SESSION],
    ]);
  });

  it('a failed write that no loss explains is told, and when it has healed', () => {
    expect(told(BUSY, HEALED)).toEqual([BUSY, HEALED]);
    expect(told(LOST, FULL, RETURNED, HEALED)).toEqual([LOST, FULL, RETURNED, HEALED]);
    expect(told(LOST, BUSY, RETURNED, HEALED, BUSY)).toEqual([LOST, RETURNED, BUSY]);
  });

  it('what is told before its cause is known ends after it', () => {
    const outage = [BUSY, NO_SESSION, LOST, RETURNED, SESSION, HEALED];
    expect(told(...outage)).toEqual(outage);
  });
});
