/** Requests that may run once, beside workers that are restarted under load, and a broker that stops (D117). */
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
const ONCE = requestOptionsFrame({ once: true });
const OUTSTANDING = 40;
const RESTARTS = 20;

afterAll(removeDaemons);

it('a broker that stops says of what its workers have not answered that its outcome is unknown', async () => {
  const daemon = await startDaemon({ sets: ['shutdown.graceMs=100'] });
  const { endpoint } = daemon;
  let begun = 0;
  const worker = new Worker({ endpoints: [endpoint], service: 'echo', name: 'slow' }, () => {
    begun++;
    return new Promise<string>(() => undefined);
  });
  await worker.ready;
  const told: string[] = [];
  const link = dialZmtp({ limits: LIMITS })(endpoint, {
    connected: () => {
      writeMessage(link, clientRequest(2, null, Buffer.from('mmi.hello'), [EMPTY]));
      const metadata = { deadlineMs: 0, headers: EMPTY };
      const id = Buffer.from('1');
      writeMessage(
        link,
        clientRequestWithOptions(id, Buffer.from('echo'), ONCE, metadata, [EMPTY]),
      );
    },
    message: (frames: Frames) => {
      const all = frames.copyFrom(0).map(String);
      if (all[0] !== 'MDPC02') told.push(all.slice(5).join(' '));
    },
    disconnected: () => undefined,
  });
  await until(() => begun === 1, 'the handler has begun');
  expect(await daemon.stop()).toMatchObject({ status: 0 });
  const what = 'worker slow, which did not answer before this broker stopped';
  await until(() => told.length === 1, 'it is told');
  expect(told).toEqual([`520 echo outcome unknown: delivered to ${what}`]);
  await Promise.all([worker.close({ graceMs: 0 }), link.close(0)]);
});

it('workers that restart in turn leave no outcome of a request that may run once unknown', async () => {
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
  function ask(): void {
    const id = Buffer.from(String(++sent));
    const metadata = { deadlineMs: 0, headers: EMPTY };
    writeMessage(link, clientRequestWithOptions(id, service, ONCE, metadata, [id]));
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
