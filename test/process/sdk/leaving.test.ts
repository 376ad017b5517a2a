/** Workers that are restarted one after the other, under load (D117). */
import type { Frames } from '../../../src/core/frames.js';
import { writeMessage } from '../../../src/sdk/links.js';
import { Worker } from '../../../src/sdk/worker.js';
import { clientRequest, clientRequestWithOptions } from '../../../src/wire/client-side.js';
import { EMPTY } from '../../../src/wire/mdp.js';
import { requestOptionsFrame } from '../../../src/wire/request-options.js';
import { dialZmtp } from '../../../src/zmtp/link.js';
import { removeDaemons, startDaemon } from '../../support/daemon.js';
import { until } from '../../support/until.js';

const LIMITS = { messageBytesMax: 1e6, framesMax: 10, outputBytesMax: 1e6 };
const OUTSTANDING = 40;
const RESTARTS = 20;

afterAll(removeDaemons);

it('leave no outcome of a request that may run once unknown, and run each once', async () => {
  const { endpoint } = await startDaemon();
  const runs = new Map<string, number>();
  const begin = async (): Promise<Worker> => {
    const made = new Worker(
      { endpoints: [endpoint], service: 'echo', concurrency: 4 },
      (request) => {
        const body = request.text();
        runs.set(body, (runs.get(body) ?? 0) + 1);
        // Some of them run while others arrive.
        return Number(body) % 3 === 0 ? Promise.resolve('done') : 'done';
      },
    );
    await made.ready;
    return made;
  };
  const workers = [await begin(), await begin()];
  const told: string[] = [];
  let sent = 0;
  let isOver = false;
  const link = dialZmtp({ limits: LIMITS })(endpoint, {
    connected: () => {
      writeMessage(link, clientRequest(2, null, Buffer.from('mmi.hello'), [EMPTY]));
      for (let each = 0; each < OUTSTANDING; each++) ask();
    },
    message: (frames: Frames) => {
      const all = frames.copyFrom(0).map(String);
      // Without an id: the answer to hello.
      if (all[0] === 'MDPC02') return;
      told.push(all.slice(5).join(' '));
      if (!isOver) ask();
    },
    disconnected: () => undefined,
  });
  const service = Buffer.from('echo');
  const options = requestOptionsFrame({ once: true });
  function ask(): void {
    const id = Buffer.from(String(++sent));
    const metadata = { deadlineMs: 0, headers: EMPTY };
    writeMessage(link, clientRequestWithOptions(id, service, options, metadata, [id]));
  }
  for (let at = 0; at < RESTARTS; at++) {
    await workers[at % 2]?.close();
    workers[at % 2] = await begin();
  }
  isOver = true;
  await until(() => told.length === sent, 'every request is answered');
  await Promise.all([...workers.map((each) => each.close()), link.close(0)]);
  expect(told.filter((answer) => answer !== 'done')).toEqual([]);
  expect(runs.size).toBe(sent);
  expect(new Set(runs.values())).toEqual(new Set([1]));
});
