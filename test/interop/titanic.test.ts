import { removeDaemons, startDaemon } from '../support/daemon.js';
import { itWithTool } from '../support/tools.js';
import { killPrograms, python } from './support/program.js';

afterEach(async () => {
  await killPrograms();
  await removeDaemons();
});

describe('9/TSP from raw frames', () => {
  for (const version of ['0.1', '0.2']) {
    itWithTool('python3-zmq', `a client of MDP ${version} stores, fetches and closes`, async () => {
      const { endpoint } = await startDaemon();
      const args = [endpoint, 'work', 'one', '', 'three', '--version', version];
      const client = python('tsp_client', ...args);
      const { status, uuid } = await client.waitFor('stored');
      expect(status).toBe('200');
      expect(uuid).toMatch(/^[0-9A-F]{32}$/);
      // Nobody serves it yet.
      expect((await client.waitFor('early'))['frames']).toEqual(['300']);
      await client.waitFor('waiting');
      python('worker', endpoint, 'work', '--version', version);
      const lines = await client.finished();
      const answers = Object.fromEntries(lines.map(({ event, frames }) => [event, frames]));
      const reply = answers['replied'];
      expect(reply).toEqual(['200', 'one', '', 'three']);
      expect(answers).toMatchObject({
        'again, in lower case': reply,
        closed: ['200'],
        gone: [expect.stringMatching(/^400/)],
        'closed twice': ['200'],
        'no uuid': [expect.stringMatching(/^400/)],
        'too many': [expect.stringMatching(/^400/)],
        'no body': [expect.stringMatching(/^400/)],
        reserved: [expect.stringMatching(/^400/)],
        'no such': ['501'],
      });
    });
  }
});
