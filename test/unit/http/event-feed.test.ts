import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';

import { EventFeed } from '../../../src/http/event-feed.js';

const AT = Date.UTC(2026, 0, 2, 3, 4, 5, 6);

interface Told {
  readonly time: string;
  readonly event: string;
  readonly service?: string;
  readonly count?: number;
}

/** The data of the events in a stream of server-sent events. */
function told(text: string): Told[] {
  return Array.from(text.matchAll(/^event: (.+)\ndata: (.+)\n\n/gm), ([, name, data = '']) => {
    const value = JSON.parse(data) as Told;
    expect(value.event).toBe(name);
    return value;
  });
}

describe('the feed of events', () => {
  let feed: EventFeed;

  /** A reader, and all that it was sent. */
  function reader(isStranger = false): { text: string; leave: () => void } {
    const seen = { text: '', leave: (): void => undefined };
    seen.leave = feed.subscribe((text) => {
      seen.text += text;
    }, isStranger);
    return seen;
  }

  beforeEach(() => {
    jest.useFakeTimers();
    feed = new EventFeed(() => AT);
  });

  afterEach(() => {
    jest.useRealTimers();
  });

  const registered = (service: string): { name: string; service: string } => ({
    name: 'worker.registered',
    service,
  });

  it('tells every reader what happens from its coming on, with the time at which it did', () => {
    const first = reader();
    feed.emit(registered('a'));
    jest.advanceTimersByTime(100);
    const second = reader();
    feed.emit(registered('b'));
    jest.advanceTimersByTime(100);
    const time = '2026-01-02T03:04:05.006Z';
    expect(told(first.text)).toEqual([
      { time, event: 'worker.registered', service: 'a' },
      { time, event: 'worker.registered', service: 'b' },
    ]);
    expect(told(second.text).map(({ service }) => service)).toEqual(['b']);
  });

  it('tells of a flood the first, and how many more there were', () => {
    const seen = reader();
    const greeting = seen.text;
    for (let n = 0; n < 10_000; n++) feed.emit(registered(`s${n}`));
    jest.advanceTimersByTime(100);
    const all = told(seen.text.slice(greeting.length));
    expect(all).toHaveLength(257);
    expect(all.at(255)?.service).toBe('s255');
    expect(all.at(256)).toMatchObject({ event: 'events.left_out', count: 10_000 - 256 });
    feed.emit(registered('later'));
    jest.advanceTimersByTime(100);
    expect(told(seen.text).at(-1)?.service).toBe('later');
  });

  it('sends a comment while nothing happens', () => {
    const seen = reader();
    const before = seen.text.length;
    jest.advanceTimersByTime(45_000);
    expect(seen.text.slice(before)).toBe(': heartbeat\n\n'.repeat(3));
  });

  it('keeps nothing, and no timer, while nobody reads', () => {
    feed.emit(registered('unheard'));
    expect(jest.getTimerCount()).toBe(0);
    const { leave } = reader();
    feed.emit(registered('heard by nobody'));
    leave();
    expect(jest.getTimerCount()).toBe(0);
    const next = reader();
    jest.advanceTimersByTime(1000);
    expect(told(next.text)).toEqual([]);
  });

  it('lets a text of a peer begin no event of its own', () => {
    const seen = reader();
    feed.emit(registered('x\n\nevent: ha.changed\ndata: {}\n\n'));
    jest.advanceTimersByTime(100);
    expect(told(seen.text)).toHaveLength(1);
    expect(told(seen.text)[0]?.service).toContain('\n');
  });

  it('has room for 32 readers', () => {
    const readers = Array.from({ length: 32 }, () => {
      feed.checkRoom(false);
      return reader();
    });
    expect(() => {
      feed.checkRoom(false);
    }).toThrow('32 readers');
    readers[0]?.leave();
    feed.checkRoom(true);
  });

  it('keeps some of it for those who give a token', () => {
    const strangers = Array.from({ length: 24 }, () => reader(true));
    expect(() => {
      feed.checkRoom(true);
    }).toThrow('24 readers of events without a token');
    feed.checkRoom(false);
    strangers[0]?.leave();
    feed.checkRoom(true);
  });
});
