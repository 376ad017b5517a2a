import { Child, run } from '../../support/child.js';
import { startDaemon } from '../../support/daemon.js';
import { freePorts } from '../../support/free-ports.js';
import { ask, httpOf, tokenOf } from '../../support/http.js';
import { cleanUp, rawWorker } from '../broker/support.js';

afterEach(cleanUp);

it('shows refusals to token holders, over HTTP and with majordomo acl log', async () => {
  const [port = 0] = await freePorts(1);
  const endpoint = `tcp://127.0.0.1:${port}`;
  const daemon = await startDaemon({
    endpoint: `[{endpoint: "${endpoint}", allow: [client]}]`,
    sets: ['http.listen=127.0.0.1:0'],
  });
  const url = httpOf(daemon);
  await rawWorker(endpoint, 'pay');
  await daemon.waitFor('worker.refused');
  const path = `${url}/api/v1/acl/log`;
  expect((await ask(path)).status).toBe(401);
  const token = tokenOf(daemon);
  const one = { what: 'worker', service: 'pay', count: 1, address: '127.0.0.1' };
  expect((await ask(path, { token })).json).toMatchObject({ items: [one] });
  const at = ['--admin', url, '--set', `node.dataDir=${daemon.dataDir}`];
  const text = await run(['acl', 'log', ...at]);
  expect(text).toMatchObject({ status: 0, stderr: '' });
  expect(text.stdout).toMatch(/^\S+Z +1 +worker +- +127\.0\.0\.1 +pay +\S/m);
  const json = await run(['acl', 'log', '-o', 'json', ...at]);
  expect(JSON.parse(json.stdout)).toMatchObject({ items: [one] });
  const watching = new Child(['acl', 'log', '--watch', '-o', 'json', ...at]);
  await watching.until(({ stdout }) => stdout.includes('"pay"'), 'what was there');
  await rawWorker(endpoint, 'other');
  await watching.until(({ stdout }) => stdout.includes('"other"'), 'what comes');
  expect(watching.stdout.match(/"pay"/g)).toHaveLength(1);
});
