import { PirateScript } from './pirate-script.js';

describe('the client over brokers that return no envelope', () => {
  it('gives each request a link of its own, without hello, and uses links again', () => {
    const script = new PirateScript({ bare: true }).connect().ask('a').ask('b').connect(2);
    expect(script.answer('b')).toBe(true);
    script.ask('c');
    expect(script.effects).toEqual([
      '0 open 1 to 0',
      '0 send a #1 on 1',
      '0 open 2 to 0',
      '0 send b #1 on 2',
      '0 send c #1 on 2',
    ]);
  });

  it('lets requests wait, in order, when all links carry one', () => {
    const script = new PirateScript({ bare: true, maxLinks: 1 }).connect().ask('a').ask('b');
    expect(script.effects).toEqual(['0 open 1 to 0', '0 send a #1 on 1']);
    expect(script.answer('a')).toBe(true);
    expect(script.effects).toEqual(['0 send b #1 on 1']);
  });

  it('closes a link that was silent, since a late reply would be taken for the next one', () => {
    const script = new PirateScript({ bare: true, endpoints: 2 }).connect().ask('a');
    script.pass(1000).connect();
    expect(script.effects).toEqual([
      '0 open 1 to 0',
      '0 send a #1 on 1',
      '1000 close 1',
      '1000 open 2 to 1',
      '1000 send a #2 on 2',
    ]);
  });

  it('sends a request again after each resendMs, then fails with ERR_MDP_TIMEOUT', () => {
    const script = new PirateScript({ bare: true }).connect().ask('a', { timeoutMs: 2000 });
    script.pass(1000).connect().pass(1000);
    expect(script.effects.slice(-2)).toEqual(['2000 close 2', '2000 fail a ERR_MDP_TIMEOUT']);
    expect(script.strategy.nextMs()).toBe(Infinity);
  });

  it('sends again over a new link when the connection ends', () => {
    const script = new PirateScript({ bare: true }).connect().ask('a').pass(10).cut().connect(2);
    expect(script.effects).toEqual([
      '0 open 1 to 0',
      '0 send a #1 on 1',
      '10 close 1',
      '10 open 2 to 0',
      '10 send a #2 on 2',
    ]);
  });

  it('closes the link of a request that was given up, and serves the next', () => {
    const script = new PirateScript({ bare: true, maxLinks: 1 }).connect().ask('a').ask('b');
    script.abort('a').connect();
    expect(script.effects).toEqual([
      '0 open 1 to 0',
      '0 send a #1 on 1',
      '0 close 1',
      '0 open 2 to 0',
      '0 send b #1 on 2',
    ]);
  });

  it('passes over an endpoint without a connection after a second', () => {
    const script = new PirateScript({ bare: true, endpoints: 2 }).ask('a').pass(1500);
    expect(script.effects).toEqual(['0 open 1 to 0', '1000 close 1', '1000 open 2 to 1']);
  });

  it('fails with ERR_MDP_UNREACHABLE without a connection, with ERR_MDP_TIMEOUT without a link', () => {
    const script = new PirateScript({ bare: true, maxLinks: 1 });
    script.ask('a', { resendMs: 600, timeoutMs: 600 }).ask('b', { resendMs: 500, timeoutMs: 500 });
    script.pass(600);
    expect(script.errors.get('a')?.code).toBe('ERR_MDP_UNREACHABLE');
    expect(script.errors.get('b')?.code).toBe('ERR_MDP_TIMEOUT');
  });
});
