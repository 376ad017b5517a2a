import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Socket } from 'node:net';

import { Handshakes } from '../../../src/transport/zmtp/handshakes.js';

const PER_CHECK = 20;
const CHECK_MS = 50;
const WAITING_MAX = 1024;

describe('handshakes with CURVE cost CPU before anybody has shown a key: they', () => {
  let handshakes: Handshakes;
  let begun: number[];

  beforeEach(() => {
    jest.useFakeTimers();
    handshakes = new Handshakes();
    begun = [];
  });

  afterEach(() => {
    handshakes.stop();
    jest.useRealTimers();
  });

  function come(name: number, socket = new Socket()): boolean {
    return handshakes.delay(socket, () => {
      begun.push(name);
    });
  }

  it('begin at once as long as they are few', () => {
    for (let name = 0; name < PER_CHECK; name++) come(name);
    expect(begun).toHaveLength(PER_CHECK);
  });

  it('wait their turn when they are many: so many in each span of time, first come first', () => {
    for (let name = 0; name < 50; name++) expect(come(name)).toBe(true);
    expect(begun).toHaveLength(PER_CHECK);
    jest.advanceTimersByTime(CHECK_MS);
    expect(begun).toHaveLength(2 * PER_CHECK);
    jest.advanceTimersByTime(CHECK_MS);
    expect(begun).toEqual(Array.from({ length: 50 }, (_, index) => index));
  });

  it('are refused when too many wait', () => {
    const answers = Array.from({ length: PER_CHECK + WAITING_MAX + 1 }, (_, name) => come(name));
    expect(answers.indexOf(false)).toBe(PER_CHECK + WAITING_MAX);
  });

  it('that have left while they waited cost nothing', () => {
    for (let name = 0; name < PER_CHECK; name++) come(name);
    const gone = new Socket();
    gone.destroy();
    for (let name = 0; name < 100; name++) come(-1, gone);
    come(PER_CHECK);
    jest.advanceTimersByTime(CHECK_MS);
    expect(begun).toHaveLength(PER_CHECK + 1);
    expect(begun).not.toContain(-1);
  });
});
