/** Commands at a server, or a broker, whose answers have objects where values are expected. */
import { present } from '../../../src/core/assert.js';
import type { Answer } from '../../support/answers.js';
import { run } from '../../support/child.js';
import { Fixtures, VERSIONS } from '../../support/fixtures.js';
import { removeStrangers, strangeBroker, strangeHttp } from '../../support/strangers.js';

afterEach(removeStrangers);

interface Recorded {
  readonly uuids: Readonly<Record<'pending' | 'replied' | 'dead', string>>;
  readonly schedule: string;
  readonly http: readonly Answer[];
  readonly mmi: readonly Answer[];
}

const version = present(VERSIONS.at(-1), 'there is a release');
const { uuids, schedule, http, mmi } = JSON.parse(
  new Fixtures(version).text('answers.json'),
) as Recorded;

const AT = '2026-01-01T00:00:00.000Z';
const REFUSAL = { number: 1, firstAt: AT, lastAt: AT, count: 2, what: 'request', reason: 'r' };
const CONTRACT = { workers: 1, names: ['a'], contract: { input: { type: ['object', 'null'] } } };
const CONTRACTS = { service: 'work', workersWithout: 1, workersNotKept: 0, contracts: [CONTRACT] };
const FAILURE = { event: 'request.failed', code: 'c', text: 't', count: 1, lastAt: AT };

/** Good answers, by question. */
const ANSWERS = new Map<string, unknown>(
  http.flatMap(({ question, status, json }) => {
    const [asked = ''] = question.split('?');
    return status === '200' && json !== undefined ? [[asked, json]] : [];
  }),
);
const ha = ANSWERS.get('GET /api/v1/ha');
const history = ANSWERS.get('GET /api/v1/services/history') as object;
const services = ANSWERS.get('GET /api/v1/services') as { readonly items: readonly object[] };
for (const [question, answer] of Object.entries({
  'GET /api/v1/acl/log': { items: [{ ...REFUSAL, key: 'k', address: 'a', service: 's' }] },
  'GET /api/v1/services': { items: [{ ...services.items[0], service: 'work', contracts: 1 }] },
  'GET /api/v1/services/work/contract': CONTRACTS,
  'GET /api/v1/services/history': { ...history, failures: [FAILURE] },
  'POST /api/v1/ha/switchover': ha,
  'POST /api/v1/ha/promote': ha,
})) {
  ANSWERS.set(question, answer);
}

const COMMANDS: readonly (readonly string[])[] = [
  ['services'],
  ['services', 'show', 'work'],
  ['services', 'describe', 'work'],
  ['services', 'export', '--asyncapi'],
  ['services', 'pause', 'work'],
  ['services', 'resume', 'work'],
  ['workers'],
  ['clients'],
  ['top'],
  ['status'],
  ['ha', 'status'],
  ['ha', 'switchover'],
  ['ha', 'promote'],
  ['acl', 'log'],
  ['durable', 'ls'],
  ['durable', 'ls', '--group-by', 'reason'],
  ['durable', 'show', uuids.dead, '--body'],
  ['durable', 'show', uuids.replied],
  ['durable', 'retry', uuids.dead],
  ['durable', 'cancel', uuids.pending],
  ['durable', 'retry', '--service', 'work', '--dry-run'],
  ['durable', 'purge', '--service', 'work', '--yes'],
  ['durable', 'schedules', 'all'],
  ['durable', 'schedules', 'pause', schedule],
  ['durable', 'schedules', 'fire', schedule],
];

/** No value can be made of it. */
const OBJECT = { toString: 'x', valueOf: 'x', toJSON: 'x' };

/** With an object in place of each value, or only of those whose names are so. */
function broken(value: unknown, named?: string, name?: string): unknown {
  const again = (each: unknown, of?: string): unknown => broken(each, named, of);
  if (Array.isArray(value) && value.length > 0) return value.map((each) => again(each, name));
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, again(each, key)]));
  }
  return named === undefined || named === name ? OBJECT : value;
}

/** The questions of a command, and how it ends at a server that answers so. */
async function at(line: readonly string[], answer: (question: string) => unknown) {
  const questions = new Set<string>();
  const { port } = await strangeHttp(200, (question) => {
    questions.add(question);
    return JSON.stringify(answer(question) ?? {});
  });
  const environment = {
    MAJORDOMO_URL: `http://127.0.0.1:${port}`,
    MAJORDOMO_TOKEN: 't'.repeat(43),
  };
  return { questions: [...questions], ...(await run(line, { environment })), asked: questions };
}

describe('majordomo, at a server that answers objects where values are expected,', () => {
  it.each(COMMANDS.map((line) => [line.join(' '), line] as const))(
    '%s: 1, and names the field',
    async (_name, line) => {
      const good = await at(line, (question) => ANSWERS.get(question));
      expect([good.status, good.stderr]).toEqual([
        0,
        expect.not.stringContaining('internal error'),
      ]);
      for (const asked of good.asked) {
        const bad = await at(line, (question) => {
          const answer = ANSWERS.get(question);
          return question === asked ? broken(answer) : answer;
        });
        expect(bad.status).toBe(1);
        const [, path = ''] = asked.split(' ');
        expect(bad.stderr).toContain(` to ${path}: `);
        expect(bad.stderr).toMatch(/: [\w.[\]]+ is an object: is it a Majordomo broker\?/);
      }
    },
  );

  it('says what else a field is, and takes what later versions may answer', async () => {
    const one = async (change: object) => {
      const { status, stderr } = await at(['ha', 'status'], () => ({
        ...(ha as object),
        ...change,
      }));
      return [status, /: (\S+ is .*): is it a/.exec(stderr)?.[1]];
    };
    expect(await one({ node: 'a' })).toEqual([0, undefined]);
    expect(await one({ node: null })).toEqual([1, 'node is null']);
    expect(await one({ epoch: 'text' })).toEqual([1, 'epoch is text']);
    expect(await one({ history: 7 })).toEqual([1, 'history is 7']);
    expect(await one({ history: [[]] })).toEqual([1, 'history[0] is a list']);
    expect(await one({ role: [] })).toEqual([1, 'role is a list']);
    expect(await one({ role: 'of a later version', later: OBJECT })).toEqual([0, undefined]);
    expect(await one({ node: undefined, epoch: -1 })).toEqual([0, undefined]);
  });

  it('and what is nested without end, is no answer', async () => {
    const { port } = await strangeHttp(200, `{"a":${'['.repeat(1e5)}${']'.repeat(1e5)}}`);
    const admin = ['--admin', `http://127.0.0.1:${port}`];
    const ended = await run(['ha', 'status', '-o', 'json', ...admin]);
    expect(ended).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('unexpected answer'),
    });
  });

  it('what a worker announced as its contract is text for export, whatever it is', async () => {
    const contract = { ...CONTRACT, contract: broken(CONTRACT.contract, 'type') };
    const { status, stderr } = await at(['services', 'export', '--asyncapi'], (question) =>
      question.endsWith('/contract')
        ? { ...CONTRACTS, contracts: [contract] }
        : ANSWERS.get(question),
    );
    expect([status, stderr]).toEqual([0, expect.stringContaining('is left out')]);
  });
});

describe('majordomo, at a broker that answers so over MMI,', () => {
  const json = (service: string): unknown =>
    service === 'mmi.contract'
      ? CONTRACTS
      : mmi.find(({ question }) => question.trimEnd() === service)?.json;
  const LINES: readonly (readonly [line: string, service: string])[] = [
    ['services', 'mmi.services'],
    ['workers', 'mmi.workers'],
    ['status', 'mmi.broker'],
    ['status', 'mmi.services'],
    ['services describe work', 'mmi.contract'],
  ];

  it.each(LINES)('%s (%s): 1, and names the field', async (line, asked) => {
    const endpoint = await strangeBroker((service) => {
      const answer = json(service);
      return ['200', JSON.stringify(service === asked ? broken(answer) : answer)];
    });
    const { status, stderr } = await run([...line.split(' '), '--endpoint', endpoint]);
    expect(status).toBe(1);
    expect(stderr).toMatch(`unexpected answer from the broker to ${asked}: `);
    expect(stderr).toMatch(/: [\w.[\]]+ is an object$/m);
  });
});
