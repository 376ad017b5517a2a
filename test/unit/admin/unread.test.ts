import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';

import { Unread } from '../../../src/admin/io/unread.js';
import { Holdings } from '../../../src/core/holdings.js';

const KIB = 1024;
const LARGE = 256 * KIB;

describe('answers that wait to be read', () => {
  let now = 0;

  function unread(limit?: number): Unread {
    now = 0;
    return new Unread(new Holdings(limit), () => now);
  }

  /** A response whose reader takes nothing. */
  function response(): ServerResponse {
    return new ServerResponse(new IncomingMessage(new Socket()));
  }

  /** Keeps an answer with a body of its own. @returns its response, or why it is not kept */
  function keep(
    all: Unread,
    identity: string,
    body = Buffer.alloc(LARGE),
  ): ServerResponse | string {
    const made = response();
    return all.keep(made, body, identity) ?? made;
  }

  function isLost(kept: ServerResponse | string): boolean {
    return typeof kept !== 'string' && kept.destroyed;
  }

  it('by number: who has more of them than the one that asks loses one, whoever has most bytes', () => {
    const all = unread();
    const one = keep(all, 'b', Buffer.alloc(20 * LARGE));
    const many = Array.from({ length: 15 }, () => keep(all, 'a'));
    expect(keep(all, 'c')).toBeInstanceOf(ServerResponse);
    expect([many.filter(isLost).length, isLost(one)]).toEqual([1, false]);
  });

  it('by number: where each has one, one more is refused, as long as they are read', () => {
    const all = unread();
    for (let at = 0; at < 16; at++) keep(all, String(at));
    expect(keep(all, 'other')).toMatch(/^too many large answers/);
    // Nor does anybody lose one to those who have as many.
    now = 60_000;
    expect(keep(all, 'other')).toMatch(/^too many large answers/);
  });

  it('by bytes: the only answer of another is given up only when its reader has stalled', () => {
    const all = unread(40 * LARGE);
    const most = keep(all, 'a', Buffer.alloc(8 * LARGE));
    now = 999;
    expect(keep(all, 'b', Buffer.alloc(3 * LARGE))).toMatch(/^too many large answers/);
    now = 1000;
    expect(keep(all, 'b', Buffer.alloc(3 * LARGE))).toBeInstanceOf(ServerResponse);
    expect(isLost(most)).toBe(true);
  });

  it('of one body for several are not given up for what one of them has besides', () => {
    const all = unread();
    const body = Buffer.alloc(LARGE);
    const shared = [keep(all, 'a', body), keep(all, 'b', body)];
    const own = Array.from({ length: 15 }, () => keep(all, 'a'));
    now = 60_000;
    expect(keep(all, 'c')).toBeInstanceOf(ServerResponse);
    expect([own.filter(isLost).length, shared.some(isLost)]).toEqual([1, false]);
  });

  it('of one body for several are given up if each of them has more than the one that asks', () => {
    const all = unread();
    for (let at = 0; at < 16; at++) {
      const body = Buffer.alloc(LARGE);
      keep(all, 'a', body);
      keep(all, 'b', body);
    }
    expect(keep(all, 'c')).toBeInstanceOf(ServerResponse);
  });
});
