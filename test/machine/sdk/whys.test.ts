import { Whys, whyLeadMs } from '../../../src/sdk/client/whys.js';
import { Client, type ClientOptions } from '../../../src/sdk/client.js';
import { until } from '../../support/until.js';
import { FakeNet } from './fake-dial.js';

describe('questions why requests have no answer', () => {
  it('are asked a tenth of the wait before its end, half a second at most', () => {
    expect([9, 100, 2500, 60_000, Infinity].map(whyLeadMs)).toEqual([0, 10, 250, 500, 0]);
  });

  it('are shared by requests for a service, for a second', () => {
    const whys = new Whys();
    const asked = Array.from({ length: 100_000 }, () => whys.ask(1, 'echo', 0));
    expect(asked.filter((number) => number !== null)).toEqual([1]);
    whys.answered(1, 'it is paused');
    expect(whys.of('echo', 999)).toBe(': it is paused');
    expect(whys.of('else', 999)).toBe('');
    expect(whys.ask(1, 'echo', 999)).toBeNull();
    expect(whys.ask(1, 'echo', 1000)).toBe(2);
    // Until the second is answered, the first holds, but not for ever.
    expect(whys.of('echo', 1999)).toBe(': it is paused');
    expect(whys.of('echo', 2000)).toBe('');
  });

  it('are few, however many services are asked about', () => {
    const whys = new Whys();
    const asked = (now: number): number =>
      Array.from({ length: 1000 }, (_, n) => whys.ask(1, `s${n}`, now)).filter(
        (number) => number !== null,
      ).length;
    expect(asked(0)).toBe(16);
    expect(asked(1999)).toBe(0);
    expect(asked(2000)).toBe(16);
  });

  it('are asked anew at another broker', () => {
    const whys = new Whys();
    expect(whys.ask(1, 'echo', 0)).toBe(1);
    expect(whys.ask(2, 'echo', 0)).toBe(2);
  });
});

describe('a client of a broker that tells why requests have no answer', () => {
  const clients: Client[] = [];

  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()));
  });

  function clientOf(extensions: string, options: Partial<ClientOptions> = {}) {
    const net = new FakeNet();
    const given = { endpoints: 'tcp://a:1', dial: net.dial, timeoutMs: 100 };
    const client = new Client({ ...given, ...options });
    clients.push(client);
    net.link.events.connected();
    net.link.written();
    const id = Buffer.from([0, 0, 0, 0, 0]);
    const facts = `{"extensions":[${extensions}]}`;
    net.link.says(id, '', 'MDPC02', '\x03', 'mmi.broker', '200', facts);
    return { client, net };
  }

  async function messageOf(promise: Promise<unknown>): Promise<string> {
    return await promise.then(
      () => 'resolved',
      (error: unknown) => (error as Error).message,
    );
  }

  /** The envelopes of the questions about `service`. */
  function questions(net: FakeNet, service: string): Buffer[] {
    const [first = net.link] = net.links;
    return first
      .written()
      .filter((frames) => frames[4]?.toString() === 'mmi.why' && frames[5]?.toString() === service)
      .map(([envelope]) => envelope ?? Buffer.alloc(0));
  }

  /** Requests of a new client, once it has asked why: a machine that is late at the end of a wait asks nothing. */
  async function unanswered(count: number, options: Partial<ClientOptions> = {}) {
    for (let tries = 0; tries < 10; tries++) {
      const { client, net } = clientOf('"why"', { timeoutMs: 500, ...options });
      const ends = Array.from({ length: count }, () => messageOf(client.request('ech', 'a')));
      const wait = { isOver: false };
      void Promise.race(ends).then(() => (wait.isOver = true));
      const asked: Buffer[] = [];
      await until(() => {
        asked.push(...questions(net, 'ech'));
        return wait.isOver || asked.length > 0;
      }, 'the broker was asked');
      const [question] = asked;
      if (!wait.isOver && question !== undefined) return { net, ends, asked, question };
    }
    throw new Error('the broker was not asked in time, ten times in a row');
  }

  it.each(['failover', 'freelance'] as const)(
    'says in the errors of all what one question was answered, %s',
    async (strategy) => {
      const { net, ends, asked, question } = await unanswered(1000, { strategy });
      const said = 'no worker serves it; did you mean "echo"?';
      net.link.says(question, '', 'MDPC02', '\x03', 'mmi.why', '404', said);
      expect(new Set(await Promise.all(ends))).toEqual(
        new Set([`no reply from 'ech' in time (timeoutMs 500; sent once): ${said}`]),
      );
      expect([...asked, ...questions(net, 'ech')]).toHaveLength(1);
    },
  );

  it('says what it said before if the broker has no answer, or was not asked', async () => {
    const old = "no reply from 'ech' in time (timeoutMs 500; sent once)";
    const silent = await unanswered(1);
    expect(await Promise.all(silent.ends)).toEqual([old]);
    expect(silent.asked).toHaveLength(1);
    const earlier = clientOf('"cancel"');
    expect(await messageOf(earlier.client.request('ech', 'a'))).toBe(old.replace('500', '100'));
    expect(questions(earlier.net, 'ech')).toEqual([]);
    const own = clientOf('"why"');
    await messageOf(own.client.request('mmi.service', 'a'));
    expect(questions(own.net, 'mmi.service')).toEqual([]);
  });

  it.each([
    ['refused', 'mmi.refused', '429', 'mmi.why'],
    ['without a text', 'mmi.why', '200', ''],
    ['by a status alone', 'mmi.why', '404'],
    ['not known', 'mmi.why', '501'],
  ] as const)('says what it said before if the question is answered: %s', async (_, ...answer) => {
    const { net, ends, question } = await unanswered(1);
    net.link.says(question, '', 'MDPC02', '\x03', ...answer);
    expect(await Promise.all(ends)).toEqual([
      "no reply from 'ech' in time (timeoutMs 500; sent once)",
    ]);
  });
});
