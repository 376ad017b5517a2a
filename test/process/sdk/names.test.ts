/** A name in an endpoint: when it is resolved, and which of its addresses are tried. */
import { removeDaemons, startDaemon } from '../../support/daemon.js';
import { outcome } from './program.js';

let port: string;

beforeAll(async () => {
  const { endpoint } = await startDaemon();
  port = endpoint.split(':').at(-1) ?? '';
});

afterAll(removeDaemons);

/** A request to `broker.test`, which a resolver of the program's own answers. */
function program(answers: string): string {
  return `
    import dns from 'node:dns';
    import { syncBuiltinESMExports } from 'node:module';
    const V4 = { address: '127.0.0.1', family: 4 };
    // Nothing listens there, or there is no IPv6 at all: either is an error at once.
    const V6 = { address: '::1', family: 6 };
    const answers = ${answers};
    let asked = 0;
    dns.lookup = (name, options, done) => {
      const found = answers[Math.min(asked++, answers.length - 1)];
      if (found === null) process.nextTick(done, Object.assign(new Error(name), { code: 'ENOTFOUND' }));
      else if (options.all) process.nextTick(done, null, found);
      else process.nextTick(done, null, found[0].address, found[0].family);
    };
    syncBuiltinESMExports();
    const client = connect('tcp://broker.test:${port}', { timeoutMs: 5000 });
    const reply = await client.request('mmi.service', 'mmi.service');
    console.log(reply.text(), asked);
  `;
}

describe('a name', () => {
  it.each(['', '--no-network-family-autoselection'])(
    'has its AAAA and its A address tried: NODE_OPTIONS=%p',
    async (options) => {
      const ended = await outcome(program('[[V6, V4]]'), { NODE_OPTIONS: options });
      expect(ended).toEqual({ end: 0, output: '200 1\n' });
    },
  );

  it('is resolved at each dial: a broker that moves is found', async () => {
    const ended = await outcome(program('[[V6], null, [V4]]'));
    expect(ended).toEqual({ end: 0, output: '200 3\n' });
  });
});
