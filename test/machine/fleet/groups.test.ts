/** A request with a group stays at its broker (D118). */
import { endFleets, fleet } from '../../support/fleet-stage.js';

afterEach(endFleets);

describe('a request with a group whose workers are all at another broker', () => {
  it('is refused at once if its client does not want to wait', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    w.after(10_000);
    const worker = a.worker('w').ready('echo');
    const client = b.client('c').hello('{"noWorker":"refuse"}');
    client.connection.sends('MDPC02', '\x05', 'echo', '', '', '', '', 'in none');
    expect(worker.inbox()).toEqual(['REQUEST in none']);
    worker.final('ok');
    expect(client.inbox()).toEqual(['FINAL echo ok']);
    client.connection.sends('MDPC02', '\x05', 'echo', '', 'g', '', '', 'in one');
    expect(client.inbox()).toEqual([expect.stringMatching(/^FINAL mmi\.refused 404\|echo\|/)]);
    expect(b.broker.load.requests).toBe(0);
  });
});
