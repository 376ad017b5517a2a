import { answering } from '../../../src/extensions/fleet/checkup.js';

const sealed = { isSealed: true, asksForCredentials: true };

describe('what doctor says of a NATS server that answers', () => {
  it('is a warning off loopback, if it has no TLS or lets everybody in', () => {
    expect(answering('n', sealed, false).state).toBe('ok');
    expect(answering('n', { ...sealed, isSealed: false }, false)).toMatchObject({
      state: 'warning',
      text: expect.stringContaining('without TLS'),
    });
    expect(answering('n', { ...sealed, asksForCredentials: false }, false)).toMatchObject({
      state: 'warning',
      text: expect.stringContaining('lets everybody in'),
    });
  });

  it('is no warning on loopback', () => {
    const open = { isSealed: false, asksForCredentials: false };
    expect(answering('n', open, true)).toMatchObject({ state: 'ok' });
  });
});
