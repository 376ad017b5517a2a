import { BROKER_EVENTS, type BrokerEvent } from '../../../src/broker/broker-events.js';
import type { RejectionKind } from '../../../src/core/event-fields.js';
import {
  FLEET_EVENTS,
  type FleetEvent,
} from '../../../src/extensions/fleet/machine/fleet-events.js';
import { EventLog } from '../../../src/admin/log/event-log.js';
import type { Log } from '../../../src/admin/log/log.js';
import { Throttle } from '../../../src/admin/log/throttle.js';
import { logTo } from '../../support/logs.js';

afterEach(() => {
  jest.useRealTimers();
});

function throttled(): { throttle: Throttle; lines: string[]; at: (ms: number) => void } {
  const lines: string[] = [];
  let now = 0;
  const at = (ms: number): void => {
    now = ms;
  };
  return { throttle: new Throttle(() => now), lines, at };
}

function say(throttle: Throttle, lines: string[], kind: string, who: string | null): void {
  const write = (leftOut: number): void => {
    lines.push(`${kind} ${who ?? ''} ${leftOut}`);
  };
  throttle.write(kind, write, who);
}

describe('what peers provoke is told', () => {
  it('at most once a second for each kind, with the number of those left out', () => {
    const { throttle, lines, at } = throttled();
    for (let n = 0; n < 5; n++) say(throttle, lines, 'a', null);
    say(throttle, lines, 'b', null);
    expect(lines).toEqual(['a  0', 'b  0']);
    at(1000);
    say(throttle, lines, 'a', null);
    expect(lines.at(-1)).toBe('a  4');
    throttle.flush();
  });

  it('for handshakes that break off, as of health checks, once in ten minutes; that keeps back nothing else', () => {
    const { throttle, lines, at } = throttled();
    const write: Log['info'] = ({ kind, leftOut = 0 }) => {
      lines.push(`${String(kind)} ${String(leftOut)}`);
    };
    const log = new EventLog(logTo(write), throttle, BROKER_EVENTS);
    const cut = (kind: RejectionKind): void => {
      const event = { name: 'connection.rejected', listener: 0, kind, reason: 'it left' } as const;
      const cutOff: BrokerEvent = { ...event, address: 'a', key: null };
      log.emit(cutOff);
    };
    for (let second = 0; second <= 600; second++) {
      at(second * 1000);
      cut('handshake_cut');
      if (second === 300 || second === 302) cut('cut');
    }
    expect(lines).toEqual(['handshake_cut 0', 'cut 0', 'cut 0', 'handshake_cut 599']);
    throttle.flush();
  });

  it('for each identity that provokes it, where it matters who did', () => {
    const { throttle, lines } = throttled();
    for (const who of ['alice', 'bob', 'alice']) say(throttle, lines, 'rights', who);
    expect(lines).toEqual(['rights alice 0', 'rights bob 0']);
    throttle.flush();
  });

  it('of twenty identities at once, and all others as one (D72)', () => {
    const { throttle, lines } = throttled();
    for (let n = 0; n < 1000; n++) say(throttle, lines, 'rights', `10.0.${n >> 8}.${n & 255}`);
    expect(lines).toHaveLength(21);
    throttle.flush();
    expect(lines).toHaveLength(22);
    expect(lines.at(-1)).toMatch(/ 978$/);
  });
});

describe('of two events of which the last one tells the present state', () => {
  const UP: FleetEvent = { name: 'fleet.connected', server: 'nats' };
  const DOWN: FleetEvent = { name: 'fleet.disconnected', reason: 'closed' };

  /** @returns what is logged of these events, with the time of each; then all is written */
  function logged(events: readonly (readonly [at: number, event: FleetEvent])[]): string[] {
    jest.useFakeTimers({ now: 0 });
    const lines: string[] = [];
    const write: Log['info'] = ({ event, leftOut = 0 }) => {
      lines.push(`${Date.now()} ${event} ${String(leftOut)}`);
    };
    const throttle = new Throttle(Date.now);
    const log = new EventLog(logTo(write), throttle, FLEET_EVENTS);
    for (const [at, event] of events) {
      jest.advanceTimersByTime(at - Date.now());
      log.emit(event);
    }
    jest.advanceTimersByTime(10_000);
    throttle.flush();
    return lines;
  }

  it('neither overtakes the other, which was left out before', () => {
    const events = [
      [0, DOWN],
      [300, UP],
      [900, DOWN],
      [1500, DOWN],
      [1600, UP],
    ] as const;
    expect(logged(events)).toEqual([
      '0 fleet.disconnected 0',
      '300 fleet.connected 0',
      '1000 fleet.disconnected 0',
      '2000 fleet.disconnected 0',
      '2000 fleet.connected 0',
    ]);
  });

  it('whatever their order and times, the last line is that of the last event', () => {
    for (let seed = 1; seed <= 300; seed++) {
      let random = seed;
      const next = (below: number): number => {
        random = (random * 48_271) % 2_147_483_647;
        return random % below;
      };
      let at = 0;
      const events = Array.from({ length: 12 }, (_, n) => {
        at += next(900);
        return [at, n % 2 === 0 ? DOWN : UP] as const;
      });
      const last = events.slice(0, 1 + next(12));
      const names = logged(last).map((line) => line.split(' ')[1]);
      expect([seed, names.at(-1)]).toEqual([seed, last.at(-1)?.[1].name]);
    }
  });
});
