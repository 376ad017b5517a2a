import { EventFeed } from '../../../../src/admin/http/event-feed.js';
import type { Level, NamedEvent } from '../../../../src/core/event-table.js';
import { extensions } from '../../../../src/extensions/list.js';
import { eventsOf } from '../../../../src/node/node.js';
import { fakeTimers } from '../../../support/fake-timers.js';

const EVENTS = eventsOf(extensions());
const AT = Date.UTC(2026, 0, 2, 3, 4, 5, 6);

interface SentEvent {
  readonly id: string | undefined;
  readonly time: string;
  readonly event: string;
  readonly severity: string;
  readonly service?: string;
  readonly count?: number;
}

/** The events in a stream of server-sent events. */
function eventsIn(text: string): SentEvent[] {
  const blocks = text.matchAll(/^(?:id: (.+)\n)?event: (.+)\ndata: (.+)\n\n/gm);
  return Array.from(blocks, ([, id, name, data = '']) => {
    const value = JSON.parse(data) as SentEvent;
    expect(value.event).toBe(name);
    return { ...value, id };
  });
}

const services = (text: string): unknown[] => eventsIn(text).map(({ service }) => service);

describe('the event feed', () => {
  let feed: EventFeed;
  let now = AT;

  /** A reader, with all text that it received. */
  function reader({ isStranger = false, lastId = null as string | null } = {}): {
    text: string;
    leave: () => void;
  } {
    const seen = { text: '', leave: (): void => undefined };
    seen.leave = feed.subscribe(
      (text) => {
        seen.text += text;
      },
      isStranger,
      lastId,
    );
    return seen;
  }

  function emit(event: NamedEvent & Readonly<Record<string, unknown>>): void {
    feed.emit(event, (): Level => 'info');
  }

  fakeTimers();
  beforeEach(() => {
    now = AT;
    feed = new EventFeed(() => now, EVENTS);
  });

  const registered = (service: string): { name: string; service: string } => ({
    name: 'worker.registered',
    service,
  });

  it('sends each event to every reader, with time and severity', () => {
    const first = reader();
    emit(registered('a'));
    feed.emit({ name: 'store.failed' }, () => 'error');
    jest.advanceTimersByTime(100);
    const time = '2026-01-02T03:04:05.006Z';
    expect(eventsIn(first.text)).toMatchObject([
      { time, event: 'worker.registered', severity: 'info', service: 'a' },
      { time, event: 'store.failed', severity: 'error' },
    ]);
  });

  it('sends a new reader the kept events in order, and no event twice', () => {
    emit(registered('a'));
    jest.advanceTimersByTime(100);
    emit({ name: 'worker.lost', service: 'b' });
    emit(registered('c'));
    const late = reader();
    expect(services(late.text)).toEqual(['a']);
    jest.advanceTimersByTime(100);
    expect(services(late.text)).toEqual(['a', 'b', 'c']);
    expect(services(reader().text)).toEqual(['a', 'b', 'c']);
  });

  it('sends a returning reader the events that it missed (Last-Event-ID)', () => {
    emit(registered('a'));
    jest.advanceTimersByTime(100);
    const lastId = eventsIn(reader().text)[0]?.id ?? null;
    expect(lastId).not.toBeNull();
    emit(registered('b'));
    jest.advanceTimersByTime(100);
    expect(services(reader({ lastId }).text)).toEqual(['b']);
  });

  it.each(['', '.', 'x', '1.2.3', '-1', 'constructor.1', `${AT.toString(36)}.-1`])(
    'ignores the invalid Last-Event-ID %j',
    (lastId) => {
      emit(registered('a'));
      jest.advanceTimersByTime(100);
      expect(services(reader({ lastId }).text)).toEqual(['a']);
    },
  );

  it('ignores ids of the previous process', () => {
    emit(registered('old'));
    jest.advanceTimersByTime(100);
    const lastId = eventsIn(reader().text)[0]?.id ?? null;
    now++;
    feed = new EventFeed(() => now, EVENTS);
    emit(registered('new'));
    jest.advanceTimersByTime(100);
    expect(services(reader({ lastId }).text)).toEqual(['new']);
  });

  it('keeps the last 1,000, and reports how many missed ones are gone', () => {
    emit(registered('first'));
    jest.advanceTimersByTime(100);
    const lastId = eventsIn(reader().text)[0]?.id ?? null;
    for (let n = 0; n < 1500; n++) {
      emit(registered(`s${n}`));
      jest.advanceTimersByTime(100);
    }
    const fresh = eventsIn(reader().text);
    expect(fresh).toHaveLength(1000);
    expect(fresh[0]?.service).toBe('s500');
    const back = eventsIn(reader({ lastId }).text);
    expect(back[0]).toMatchObject({ event: 'events.left_out', count: 500, id: undefined });
    expect(back.slice(1)).toEqual(fresh);
  });

  it('keeps the events of every service when one of them repeats', () => {
    for (let n = 0; n < 17; n++) emit({ name: 'request.failed', service: `s${n}` });
    for (let n = 0; n < 3000; n++) {
      emit({ name: 'request.failed', service: 'flood' });
      if (n % 100 === 0) jest.advanceTimersByTime(100);
    }
    jest.advanceTimersByTime(100);
    const kept = new Set(eventsIn(reader().text).map(({ service }) => service));
    expect(kept.size).toBe(18 + 1);
  });

  it('keeps rare events when another one repeats', () => {
    emit({ name: 'titanic.died', service: 'pay' });
    for (let n = 0; n < 3000; n++) {
      emit({ name: 'request.refused', service: `s${n}` });
      jest.advanceTimersByTime(100);
    }
    expect(eventsIn(reader().text).slice(0, 2)).toMatchObject([
      { event: 'titanic.died', service: 'pay' },
      { event: 'request.refused', service: 's2001' },
    ]);
  });

  it('keeps at most 256 KiB, and cuts long texts', () => {
    const text = '\u20ac'.repeat(100_000);
    for (let n = 0; n < 1000; n++) {
      emit({ name: 'message.malformed', reason: text, n });
      jest.advanceTimersByTime(100);
    }
    const seen = reader().text;
    expect(Buffer.byteLength(seen)).toBeLessThan(256 * 1024 + 200);
    expect(Buffer.byteLength(seen)).toBeGreaterThan(250 * 1024);
    expect(seen).toContain(`"reason":"${'\u20ac'.repeat(1024)}…"`);
    expect(seen).toContain('"n":999');
  });

  it('sends identities only to readers with a token', () => {
    const stranger = reader({ isStranger: true });
    const holder = reader();
    const who = { key: 'billing', address: '10.0.0.7' };
    emit({ name: 'request.refused', service: 'pay', ...who });
    jest.advanceTimersByTime(100);
    for (const seen of [stranger, reader({ isStranger: true })]) {
      expect(seen.text).toContain('"service":"pay"');
      expect(seen.text).not.toMatch(/billing|10\.0\.0\.7|"key"|"address"/);
    }
    for (const seen of [holder, reader()]) expect(eventsIn(seen.text)).toMatchObject([who]);
  });

  it.each<readonly [string, object, readonly string[]]>([
    ['request.failed', { service: 'pay', code: 'E', text: 'whispered' }, ['code', 'text']],
    ['request.returned', { service: 'pay', reason: 'whispered' }, ['reason']],
    ['request.abandoned', { service: 'pay', reason: 'E: whispered' }, ['reason']],
    ['titanic.died', { service: 'pay', attempts: 1, reason: 'E: whispered' }, ['reason']],
    ['titanic.retried', { service: 'pay', reason: 'E: whispered' }, ['reason']],
    ['schedule.made', { schedule: 'whispered', service: 'pay', key: null }, ['schedule', 'key']],
    ['map.conflicted', { record: '/whispered' }, ['record']],
    ['worker.lost', { service: 'pay', reason: 'expired' }, []],
    ['store.failed', { text: 'the disk is full' }, []],
  ])('sends what others wrote only to readers with a token: %s', (name, fields, withheld) => {
    emit({ name, ...fields });
    jest.advanceTimersByTime(100);
    expect(eventsIn(reader().text)).toMatchObject([fields]);
    const { text } = reader({ isStranger: true });
    const shown = Object.entries(fields).filter(([field]) => !withheld.includes(field));
    expect(eventsIn(text)).toMatchObject([Object.fromEntries(shown)]);
    for (const field of withheld) expect(text).not.toContain(`"${field}"`);
    expect(text).not.toContain('whispered');
  });

  it('of a flood, sends the first events, other events, and the number left out', () => {
    const seen = reader();
    const greeting = seen.text;
    for (let n = 0; n < 10_000; n++) emit(registered(`s${n}`));
    for (let n = 0; n < 100; n++) emit({ name: 'worker.lost', service: `s${n}` });
    jest.advanceTimersByTime(100);
    const all = eventsIn(seen.text.slice(greeting.length));
    expect(all).toHaveLength(257);
    expect(all.slice(191, 193)).toMatchObject([
      { event: 'worker.registered', service: 's191' },
      { event: 'worker.lost', service: 's0' },
    ]);
    const leftOut = { event: 'events.left_out', count: 10_100 - 256, severity: 'warn' };
    expect(all.at(256)).toMatchObject(leftOut);
    emit(registered('later'));
    jest.advanceTimersByTime(100);
    expect(eventsIn(seen.text).at(-1)?.service).toBe('later');
  });

  it('sends a comment while nothing happens', () => {
    const seen = reader();
    const before = seen.text.length;
    jest.advanceTimersByTime(45_000);
    expect(seen.text.slice(before)).toBe(': heartbeat\n\n'.repeat(3));
  });

  it('has no timer while nobody reads and nothing happens', () => {
    emit(registered('a'));
    jest.advanceTimersByTime(100);
    expect(jest.getTimerCount()).toBe(0);
    const { leave } = reader();
    expect(jest.getTimerCount()).toBe(1);
    leave();
    expect(jest.getTimerCount()).toBe(0);
  });

  it('does not let the text of a peer start an event', () => {
    const seen = reader();
    emit(registered('x\n\nevent: ha.changed\ndata: {}\n\n'));
    jest.advanceTimersByTime(100);
    expect(eventsIn(seen.text)).toHaveLength(1);
    expect(eventsIn(seen.text)[0]?.service).toContain('\n');
  });

  it('has room for 32 readers', () => {
    const readers = Array.from({ length: 32 }, () => {
      feed.checkRoom(false);
      return reader();
    });
    expect(() => feed.checkRoom(false)).toThrow('32 readers');
    readers[0]?.leave();
    feed.checkRoom(true);
  });

  it('reserves some places for readers with a token', () => {
    const strangers = Array.from({ length: 24 }, () => reader({ isStranger: true }));
    expect(() => feed.checkRoom(true)).toThrow('24 readers of events without a token');
    feed.checkRoom(false);
    strangers[0]?.leave();
    feed.checkRoom(true);
  });
});
