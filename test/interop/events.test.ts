/** The events of a broker, read by a SUB socket of libzmq. */
import { removeDaemons, startDaemon } from '../support/daemon.js';
import { eventsOf, PUBLISHES } from '../support/events.js';
import { itWithTool } from '../support/tools.js';
import { killPrograms, python } from './support/program.js';
import { closePeers, RawPeer } from './support/raw-peer.js';

const TOOL = 'python3-zmq';

afterEach(async () => {
  closePeers();
  await killPrograms();
  await removeDaemons();
});

describe('a SUB socket of libzmq', () => {
  itWithTool(TOOL, 'gets events with topic, header and JSON (D42, D46)', async () => {
    const daemon = await startDaemon({ sets: [PUBLISHES] });
    const topics = ['--topics', 'worker.,message.malformed'];
    const program = python('subscriber', eventsOf(daemon), ...topics);
    await program.waitFor('connects');
    for (let index = 0; program.said('message').length === 0; index++) {
      await new RawPeer(daemon.endpoint).send('MDPW02', '\x01', `echo-${index}`);
      await daemon.waitFor('worker.registered', index + 1);
    }
    await new RawPeer(daemon.endpoint).send('', 'MDPX09');
    await program.until(
      () => program.said('message').some(({ topic }) => topic === 'message.malformed'),
      'the malformed message',
    );
    const [first, ...others] = program.said('message');
    const [line] = daemon.log.filter(({ service }) =>
      JSON.stringify(first).includes(String(service)),
    );
    expect(first).toMatchObject({ topic: 'worker.registered', us: expect.any(Number) });
    const [body = '', ...more] = first?.['body'] as string[];
    expect(more).toEqual([]);
    const { event, service, worker, workerName, credit } = line ?? {};
    expect(JSON.parse(body)).toEqual({ event, service, worker, workerName, credit });
    const numbers = [first, ...others].map((message) => Number(message?.['number']));
    expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] ?? NaN) + index));
  });
});
