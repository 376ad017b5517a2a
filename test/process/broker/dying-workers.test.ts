import { RawPeer } from '../../interop/support/raw-peer.js';
import { type Daemon, startDaemon } from '../../support/daemon.js';
import { itWithTool } from '../../support/tools.js';
import { cleanUp, occurrences, registeredWorker, untilLogged, type WorkerSeen } from './support.js';

const TOOL = 'python3-zmq';
/** Long enough that a busy machine does not expire live peers. */
const HEARTBEAT_MS = 1000;
const HEARTBEAT = ['--heartbeat-ms', HEARTBEAT_MS] as const;

function brokerWithHeartbeats(...sets: string[]): Promise<Daemon> {
  return startDaemon({ sets: [`broker.heartbeatIntervalMs=${HEARTBEAT_MS}`, ...sets] });
}

describe('a worker that dies', () => {
  afterEach(cleanUp);

  itWithTool(TOOL, 'by SIGKILL under load: every request is answered once', async () => {
    const daemon = await startDaemon();
    const client = new RawPeer(daemon.endpoint);
    const doomed = await registeredWorker(daemon, 1, '--mode', 'hold', '--credit', 20);
    await registeredWorker(daemon, 2, '--version', '0.2', '--credit', 20);
    const ids = Array.from({ length: 500 }, (_, number) => `id-${number}`);
    await Promise.all(ids.map((id) => client.send(id, '', 'MDPC01', 'work', id)));
    await doomed.waitFor('request', 20);
    await doomed.kill();
    const answered: string[] = [];
    while (answered.length < ids.length) {
      const [id, , , , body] = await client.receive();
      expect(body).toBe(id);
      answered.push(String(id));
    }
    expect(await client.settle()).toEqual([]);
    expect(answered.sort()).toEqual(ids.sort());
    expect(occurrences(daemon, 'request.abandoned')).toBe(0);
  });

  itWithTool(
    TOOL,
    'by SIGSTOP, alone: it registers anew, and its late reply is used (D8)',
    async () => {
      const daemon = await brokerWithHeartbeats();
      const client = new RawPeer(daemon.endpoint);
      const worker = await registeredWorker(daemon, 1, '--mode', 'hold', ...HEARTBEAT);
      const asked = client.ask('id', 'work', 'x');
      await worker.waitFor('request');
      // D5: one that heartbeats while it is busy is expired by its heartbeats.
      await worker.until(
        () => worker.said('heartbeat-sent').filter(({ held }) => held === 1).length >= 3,
        'heartbeats while busy',
      );
      worker.signal('SIGSTOP');
      await untilLogged(daemon, 'worker.lost', { reason: 'expired', inFlight: 1 });
      await untilLogged(daemon, 'request.requeued');
      worker.signal('SIGCONT');
      // What it wrote to its old connection, which the broker has ended, would be lost.
      await worker.waitFor('request', 2);
      worker.tell('release');
      expect(await asked).toEqual(['id', '', 'MDPC02', '\x03', 'work', 'x']);
      await client.untilMmi<WorkerSeen[]>(
        'mmi.workers',
        (workers) => workers.length === 1 && workers[0]?.state === 'waiting',
      );
      // The second answer is dropped.
      expect(await client.settle()).toEqual([]);
      expect(worker.said('request')).toHaveLength(2);
    },
  );

  itWithTool(
    TOOL,
    'or seems to: one that cannot heartbeat while busy is left alone (D5)',
    async () => {
      const heartbeatMs = 300;
      const sets = [`broker.heartbeatIntervalMs=${heartbeatMs}`];
      const daemon = await startDaemon({ sets });
      const client = new RawPeer(daemon.endpoint);
      // It leaves the broker only on command, however long the broker is silent.
      const args = ['--mode', 'mute', '--heartbeat-ms', heartbeatMs, '--liveness', 1000];
      const mute = await registeredWorker(daemon, 1, ...args);
      const asked = client.ask('id', 'work', 'x');
      await mute.waitFor('request');
      const registrations = mute.said('ready-sent').length;
      // Three times as long as it takes to expire any other worker.
      await mute.waitFor('heartbeat-received', mute.said('heartbeat-received').length + 10);
      mute.tell('release');
      expect((await asked).at(-1)).toBe('x');
      expect(mute.said('ready-sent')).toHaveLength(registrations);
    },
  );
});
