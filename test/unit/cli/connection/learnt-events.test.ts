import { learntPort } from '../../../../src/cli/connection/learnt-address.js';
import { codeOf, messageOf } from '../../../../src/core/errors.js';

const HERE = 'tcp://127.0.0.1:5555';
const THERE = 'tcp://192.0.2.7:5555';

/** The endpoint, or the error's text. */
function learnt(events: unknown, asked = HERE): string {
  try {
    return learntPort(
      events,
      { option: 'events', name: 'events', does: 'publish its events' },
      asked,
    );
  } catch (error) {
    expect(codeOf(error)).toBe('ERR_NOT_LEARNT');
    return messageOf(error);
  }
}

describe('the endpoint of events that a broker reports', () => {
  it('is dialled as it is, and a wildcard at the host that was asked', () => {
    expect(learnt('tcp://127.0.0.1:5561')).toBe('tcp://127.0.0.1:5561');
    expect(learnt('ipc:///run/events')).toBe('ipc:///run/events');
    expect(learnt('tcp://192.0.2.7:5561', THERE)).toBe('tcp://192.0.2.7:5561');
    expect(learnt('tcp://*:5561', THERE)).toBe('tcp://192.0.2.7:5561');
    expect(learnt('tcp://[::]:5561', THERE)).toBe('tcp://192.0.2.7:5561');
  });

  it('that only another machine can reach is not dialled', () => {
    for (const events of ['tcp://127.0.0.1:5561', 'ipc:///run/events', 'tcp://[::1]:5561']) {
      expect(learnt(events, THERE)).toContain('only on its own machine');
    }
  });

  it('is missing at an older broker, and null where events are off', () => {
    expect(learnt(undefined)).toMatch(/older version.*give --events$/);
    expect(learnt(null)).toContain('set events.listen there');
  });

  it.each([5, {}, '', 'http://127.0.0.1:1', `tcp://${'a'.repeat(2000)}:1`, 'tcp://a\u001b[31m:1'])(
    '%p is not accepted',
    (events) => {
      const text = learnt(events);
      expect(text).toContain('is not accepted');
      expect(text).not.toMatch(/\p{C}/u);
      expect(text.length).toBeLessThan(400);
    },
  );
});
