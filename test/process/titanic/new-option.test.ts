import { run } from '../../support/child.js';
import { removeDaemons, startDaemon } from '../../support/daemon.js';
import { httpOf, tokenOf } from '../../support/http.js';
import { changedProgram } from '../../support/later-program.js';
import { until } from '../../support/until.js';

/** By the recipe of docs/ARCHITECTURE.md. */
const ROW = `word: {
    ...{ type: 'text', min: 1, max: 64, about: 'a word for operators', field: 100 },
    shown: 'What it says; null: nothing', needsToken: true,
  },`;
const LAST = 'shared: {';

afterAll(removeDaemons);

it('an option that clients send, of requests and of schedules, is one row of a table', async () => {
  const program = changedProgram((change) => {
    change('wire/job-option-table.js', LAST, `${ROW} ${LAST}`);
  });
  const daemon = await startDaemon({ program, sets: ['http.listen=127.0.0.1:0'] });
  const command = async (...line: string[]): Promise<string> => {
    const { stdout, stderr } = await run([...line, '--endpoint', daemon.endpoint], { program });
    return stdout.trim() + stderr;
  };
  const durable = ['request', '--durable', '--no-wait', 'echo', '-o', 'json'];
  expect(await command(...durable, '--word', 'x'.repeat(65))).toContain('1 to 64 bytes in UTF-8');
  await command(...durable, '--word', 'büro');
  await command('durable', 'schedule', 'n', '* * * * * *', 'report', '--word', 'weekly');
  const get = async (path: string, headers: Record<string, string> = {}): Promise<unknown> =>
    await (await fetch(`${httpOf(daemon)}/api/v1/titanic/requests${path}`, { headers })).json();
  const token = { authorization: `Bearer ${tokenOf(daemon)}` };
  for (const [service, word] of Object.entries({ echo: 'büro', report: 'weekly' })) {
    let uuid: string | undefined;
    await until(async () => {
      const { items } = (await get(`?service=${service}`, token)) as { items: { uuid: string }[] };
      uuid = items[0]?.uuid;
      return uuid !== undefined;
    }, `a request for ${service}`);
    expect(await get(`/${uuid}`, token)).toMatchObject({ service, word });
    expect(await get(`/${uuid}`)).toMatchObject({ service, word: null });
  }
});
