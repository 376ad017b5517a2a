/** Contracts: what workers announce with READY, and what `mmi.contract` tells of it (D107). */
import { Holdings } from '../../../src/core/holdings.js';
import type { ContractsStatus } from '../../../src/wire/mmi.js';
import { TestKey } from '../../support/rights.js';
import type { ClientActor } from '../../support/stage-peers.js';
import { endStages, type Stage, stage } from '../../support/stage.js';

afterEach(endStages);

/** The limit of a contract's frame. */
const CONTRACT_BYTES_MAX = 65_536;
const ONE = '{"input":{"type":"string"},"version":"1.0"}';
const TWO = '{"input":{"type":"number"},"version":"2.0"}';

function answer(client: ClientActor, ...body: string[]): string {
  client.request('mmi.contract', ...body);
  return client.inbox().join('\n').replace('FINAL mmi.contract ', '');
}

function contractsOf(s: Stage, service = 'echo'): ContractsStatus {
  const text = answer(s.client(`c${Math.random()}`), service);
  expect(text.slice(0, 4)).toBe('200|');
  return JSON.parse(Buffer.from(text.slice(4), 'latin1').toString('utf8')) as ContractsStatus;
}

function versionsOf(s: Stage): [string | undefined, number][] {
  return contractsOf(s).contracts.map(({ contract, workers }) => [contract.version, workers]);
}

/** How many different contracts `mmi.services` says that there are. */
function counted(s: Stage): number[] {
  const client = s.client(`s${Math.random()}`).request('mmi.services', '');
  const text = client.inbox().join('').replace('FINAL mmi.services 200|', '');
  return (JSON.parse(text) as { contracts: number }[]).map(({ contracts }) => contracts);
}

describe('mmi.contract', () => {
  it.each([1, 2] as const)('tells what a worker announced, as it was sent (0.%i)', (version) => {
    const s = stage();
    const contract =
      '{ "input": {"title":"<b>\u{1f600}","__proto__":{"type":"string"}}, "later": 7 }';
    s.worker('w1', { version }).ready('echo', { name: 'one\n', contract });
    expect(contractsOf(s)).toEqual({
      service: 'echo',
      workersWithout: 0,
      workersNotKept: 0,
      contracts: [{ workers: 1, names: ['one%0A'], contract: JSON.parse(contract) as unknown }],
    });
    expect(counted(s)).toEqual([1]);
  });

  it('has different contracts beside each other, and equal ones once', () => {
    const s = stage();
    s.worker('w1').ready('echo', { contract: ONE });
    const w2 = s.worker('w2').ready('echo', { contract: TWO });
    s.worker('w3').ready('echo', { contract: ONE });
    s.worker('w4').ready('echo');
    expect(versionsOf(s)).toEqual([
      ['1.0', 2],
      ['2.0', 1],
    ]);
    expect(contractsOf(s).workersWithout).toBe(1);
    expect(counted(s)).toEqual([2]);
    w2.saysDisconnect();
    expect(versionsOf(s)).toEqual([['1.0', 2]]);
  });

  it('names at most ten of the workers', () => {
    const s = stage();
    for (let index = 0; index < 12; index++) {
      s.worker(`w${index}`).ready('echo', { name: `n${index}`, contract: ONE });
    }
    const [kept] = contractsOf(s).contracts;
    expect(kept).toMatchObject({ workers: 12 });
    expect(kept?.names).toEqual(Array.from({ length: 10 }, (_, index) => `n${index}`));
  });

  it('is 404 where nobody announced one, or nobody does any more, and 400 without one name', () => {
    const s = stage();
    const c1 = s.client('c1');
    expect(answer(c1, 'echo')).toBe('404');
    const w1 = s.worker('w1').ready('echo', { contract: ONE });
    s.worker('w2').ready('echo');
    expect(answer(c1, 'echo')).toMatch(/^200/);
    w1.disconnect();
    expect(answer(c1, 'echo')).toBe('404');
    expect(counted(s)).toEqual([0]);
    expect(answer(c1, '')).toBe('400');
    expect(answer(c1, 'echo', 'echo')).toBe('400');
  });

  it('tells those who may request or offer the service, as lists do', () => {
    const keys = new Map([
      ['client', new TestKey(['pay'], false)],
      ['worker', new TestKey(false, ['pay'])],
      ['other', new TestKey(['bill', 'mmi.*'], ['bill'])],
    ]);
    const s = stage({ rightsOf: (_, key) => keys.get(key) ?? new TestKey(true, true) });
    s.worker('w1', { key: 'worker' }).ready('pay', { contract: ONE });
    const statuses = ['client', 'all', 'other'].map((key) =>
      answer(s.client(key, { key }), 'pay').slice(0, 3),
    );
    expect(statuses).toEqual(['200', '200', '404']);
  });
});

describe('a contract in READY', () => {
  it('is kept once, counted in the memory of the oldest of its workers, and released with the last', () => {
    const holdings = new Holdings(1_000_000);
    const s = stage({ holdings });
    const held = (): number[] => [
      holdings.byKind.contracts,
      ...[...holdings.accounts.values()]
        .filter(({ contracts }) => contracts > 0)
        .map(({ contracts }) => contracts),
    ];
    const size = ONE.length;
    const w1 = s.worker('w1', { address: '10.0.0.1' }).ready('echo', { contract: ONE });
    const w2 = s.worker('w2', { address: '10.0.0.2' }).ready('echo', { contract: ONE });
    expect(held()).toEqual([size, size]);
    w1.disconnect();
    expect(held()).toEqual([size, size]);
    w2.saysDisconnect();
    expect(held()).toEqual([0]);
    w2.ready('echo', { contract: ONE }).ready('echo', { contract: TWO });
    // A second READY is unexpected: it is forgotten.
    expect(held()).toEqual([0]);
  });

  it('beyond eight different ones, or without memory for it, is counted and not kept', () => {
    const s = stage();
    for (let index = 0; index < 10; index++) {
      s.worker(`w${index}`).ready('echo', { contract: `{"version":"${index}"}` });
    }
    expect(contractsOf(s)).toMatchObject({ workersWithout: 0, workersNotKept: 2 });
    expect(contractsOf(s).contracts).toHaveLength(8);
    expect(s.broker.counters.contractsNotKept).toBe(2);
    const tight = stage({ holdings: new Holdings(20) });
    tight.worker('w1').ready('echo', { contract: ONE });
    expect(contractsOf(tight)).toMatchObject({ workersNotKept: 1, contracts: [] });
    expect(tight.broker.load.workers).toBe(1);
  });

  const deep = (levels: number): string => `${'{"not":'.repeat(levels)}true${'}'.repeat(levels)}`;
  it.each([
    ['is no JSON', '{'],
    ['is no object', '[]'],
    ['is no UTF-8', '{"description":"\xff"}'],
    ['is too large', `{"description":"${' '.repeat(CONTRACT_BYTES_MAX)}"}`],
    ['is too deep', `{"input":${deep(64)}}`],
    ['is far too deep', `{"input":${'['.repeat(30_000)}${']'.repeat(30_000)}}`],
    ['has a part that is no schema', '{"output":"string"}'],
    ['has a part that is a list', '{"progress":[]}'],
    ['has an error that is no schema', '{"errors":{"full":7}}'],
    ['has errors that are a list', '{"errors":[true]}'],
    ['has a long version', `{"version":"${'1'.repeat(65)}"}`],
    ['has a version that is no string', '{"version":2}'],
  ])('that %s makes it malformed', (_why, text) => {
    const s = stage();
    const w1 = s.connection('w1');
    const frames = ['MDPW02', '\x01', 'echo', '1', '{}', text].map((each) =>
      Buffer.from(each, 'latin1'),
    );
    w1.sends(...frames);
    expect(s.broker.counters.malformed.worker).toBe(1);
    expect(s.broker.load).toMatchObject({ workers: 0, services: 0 });
    expect(s.events('message.malformed')).toMatchObject([{ command: 'READY', frame: 6 }]);
  });

  it('may be as large and as deep as that', () => {
    const s = stage();
    const [begin, end] = [`{"input":${deep(63)},"output":{"title":"`, '"}}'];
    const contract = begin + 'x'.repeat(CONTRACT_BYTES_MAX - begin.length - end.length) + end;
    s.worker('w1').ready('echo', { contract });
    expect(s.broker.load.workers).toBe(1);
  });

  it('is the last frame', () => {
    const s = stage();
    s.connection('w1').sends('MDPW02', '\x01', 'echo', '1', '{}', '{}', 'more');
    expect(s.broker.counters.malformed.worker).toBe(1);
  });
});
