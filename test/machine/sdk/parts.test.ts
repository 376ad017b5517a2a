import { Frames } from '../../../src/core/frames.js';
import { backoffMs } from '../../../src/sdk/backoff.js';
import { Deadlines, type DueQueue, type Timed } from '../../../src/sdk/client/deadlines.js';
import { type Handler, type HandlerContext, TaskContext } from '../../../src/sdk/worker/handler.js';
import { bodyBytes, type BodyFrames, frameList } from '../../../src/sdk/body.js';
import { ReceivedRequest } from '../../../src/sdk/message.js';
import { ServiceError } from '../../../src/sdk/service-error.js';
import { workerSettings } from '../../../src/sdk/worker/worker-options.js';
import { Worker, type WorkerOptions } from '../../../src/sdk/worker.js';
import { Task } from '../../../src/sdk/worker/worker-session.js';

class Item implements Timed<Item> {
  dueMs = 0;
  lookMs = 0;
  dueQueue: DueQueue<Item> | null = null;
  dueBefore: Item | null = null;
  dueAfter: Item | null = null;
}

describe('deadlines', () => {
  it('fall due in order of time, whatever their durations', () => {
    const deadlines = new Deadlines<Item>();
    const [long, short, gone] = [new Item(), new Item(), new Item()];
    deadlines.set(long, 0, 300);
    deadlines.set(short, 100, 100);
    deadlines.set(gone, 100, 50);
    deadlines.clear(gone);
    expect(deadlines.nextMs()).toBeLessThanOrEqual(200);
    expect(deadlines.takeDue(199)).toBeUndefined();
    expect(deadlines.nextMs()).toBe(200);
    expect(deadlines.takeDue(200)).toBe(short);
    expect(deadlines.nextMs()).toBeLessThanOrEqual(300);
    expect(deadlines.takeDue(300)).toBe(long);
    expect(deadlines.nextMs()).toBe(Infinity);
  });

  it('are neither early nor late, also with thousands of durations', () => {
    const deadlines = new Deadlines<Item>();
    for (let duration = 20_000; duration >= 1; duration--) deadlines.set(new Item(), 0, duration);
    const taken: [now: number, dueMs: number][] = [];
    for (let now = deadlines.nextMs(); now < Infinity; now = deadlines.nextMs()) {
      for (let item = deadlines.takeDue(now); item !== undefined; item = deadlines.takeDue(now)) {
        taken.push([now, item.dueMs]);
      }
    }
    expect(taken).toEqual(Array.from({ length: 20_000 }, (_, at) => [at + 1, at + 1]));
  });
});

describe('pauses', () => {
  it('double up to the longest, with half of each left to chance', () => {
    const options = { retryBaseMs: 100, retryMaxMs: 1000 };
    const shortest = [1, 2, 3, 4, 5, 99].map((failures) => backoffMs(options, failures, () => 0));
    expect(shortest).toEqual([50, 100, 200, 400, 500, 500]);
    expect(backoffMs(options, 99, () => 0.5)).toBe(750);
  });
});

function contextOf(version: 1 | 2, partial: (body: BodyFrames) => boolean): TaskContext {
  const task = new Task(Frames.of('token', '', 'in'), 0, new ReceivedRequest('s', null, []));
  const sink = {
    partial: (_task: Task, body: BodyFrames): boolean => partial(body),
    progress: (_task: Task, body: BodyFrames): void => void partial(body),
    messageBytesMax: Infinity,
    tooLargeError: (body: BodyFrames): Error | null =>
      bodyBytes(body) > 100 ? new ServiceError('too-large', 'over 100 bytes') : null,
    partError: (body: BodyFrames): Error | null => sink.tooLargeError(body),
    isBusy: false,
    awaitRoom: (): void => undefined,
  };
  return new TaskContext(version, sink, task);
}

async function run(handler: unknown, version: 1 | 2 = 2): Promise<string[]> {
  const said: string[] = [];
  const context = contextOf(version, (body) => {
    said.push(`PARTIAL ${frameList(body).join()}`);
    return true;
  });
  const body = await context.run(
    handler as Handler,
    new ReceivedRequest('s', null, [Buffer.from('in')]),
  );
  return [
    ...said,
    `FINAL ${frameList(body)
      .map((frame) => frame.toString())
      .join()}`,
  ];
}

describe('handlers', () => {
  it('answer by a body, a promise of one, or parts and a last one', async () => {
    expect(await run((request: ReceivedRequest) => request.frames)).toEqual(['FINAL in']);
    expect(await run(() => Promise.resolve(['a', 'b']))).toEqual(['FINAL a,b']);
    const parts = async function* (): AsyncGenerator<string, string> {
      yield await Promise.resolve('1');
      return '2';
    };
    expect(await run(parts)).toEqual(['PARTIAL 1', 'FINAL 2']);
    expect(await run(parts, 1)).toEqual(['FINAL 1,2']);
  });

  const hole = ['a'];
  hole[2] = 'b';
  it.each([undefined, null, 5, {}, ['a', 5], hole])(
    'that return %p have failed: no body is made up',
    async (value) => {
      await expect(run(() => value)).rejects.toMatchObject({ code: 'ERR_MDP_BODY' });
    },
  );

  it('cannot send parts of a request that is no longer theirs', async () => {
    const context = contextOf(2, () => false);
    const handler: Handler = (_request, { partial }) => {
      partial('x');
      return '';
    };
    await expect(context.run(handler, new ReceivedRequest('s', null, []))).rejects.toMatchObject({
      code: 'ERR_MDP_STREAM_BROKEN',
    });
  });

  it('fail with a part that is too large, also where they catch what it throws', async () => {
    const parts: number[] = [];
    const context = contextOf(2, (body) => parts.push(bodyBytes(body)) > 0);
    const handler: Handler = (_request, { partial }) => {
      partial('x');
      expect(() => partial('x'.repeat(101))).toThrow('over 100 bytes');
      expect(() => partial('x')).toThrow('over 100 bytes');
      return 'end';
    };
    await context.run(handler, new ReceivedRequest('s', null, []));
    expect(parts).toEqual([1]);
    expect(context.spoiledBy).toMatchObject({ serviceCode: 'too-large' });
  });

  it('tell progress, which is sent or not, and never ends the request', async () => {
    const handler: Handler = (_request, { progress }) => {
      progress('x');
      expect(() => progress('x'.repeat(100))).toThrow('over 100 bytes');
      return 'end';
    };
    expect(await run(handler)).toEqual(['PARTIAL MDPP01,x', 'FINAL end']);
    expect(await run(handler, 1)).toEqual(['FINAL end']);
    await expect(
      run((_request: unknown, { partial }: HandlerContext) => partial(['MDPP01', 'x'])),
    ).rejects.toMatchObject({ code: 'ERR_MDP_BODY' });
    const context = contextOf(2, () => false);
    await context.run(handler, new ReceivedRequest('s', null, []));
    expect(context.spoiledBy).toBeNull();
  });

  it('have their signal aborted when the request was given back', () => {
    const context = contextOf(2, () => true);
    const { signal } = context;
    context.abort();
    expect(signal.aborted).toBe(true);
    expect(contextOf(2, () => true).signal.aborted).toBe(false);
  });
});

describe('options of a worker', () => {
  const endpoints = ['tcp://127.0.0.1:5555'];
  it('name it by host and process, as it is told, or not at all (D67)', () => {
    const named = (more: object): string | null =>
      workerSettings({ endpoints, service: 's', ...more }, () => '').name;
    expect(named({})).toMatch(new RegExp(`^.{1,${63 - `${process.pid}`.length}}:${process.pid}$`));
    expect(named({ name: '😀'.repeat(64) })).toBe('😀'.repeat(64));
    expect(named({ name: '' })).toBeNull();
  });

  it.each([
    [{ endpoints }, 'service'],
    [{ endpoints, service: '' }, 'service'],
    [{ endpoints, service: 's', concurrency: 0 }, 'concurrency'],
    [{ endpoints, service: 's', concurrency: 10_001 }, 'concurrency'],
    [{ endpoints, service: 's', heartbeatIntervalMs: 1 }, 'heartbeatIntervalMs'],
    [{ endpoints, service: 's', onError: 'log' }, 'onError'],
    [{ endpoints, service: 's', concurrency: { s: 1 } }, 'concurrency'],
    [{ endpoints, service: 's', name: 7 }, 'name'],
    [{ endpoints, service: 's', name: '😀'.repeat(65) }, 'name'],
    [{ endpoints, service: 's', title: 'x' }, 'title'],
  ])('%j is ERR_MDP_OPTION, and the text names %s', (options, named) => {
    expect(() => new Worker(options as WorkerOptions, () => '')).toThrow(
      expect.objectContaining({
        code: 'ERR_MDP_OPTION',
        message: expect.stringContaining(named),
      }),
    );
  });
});
