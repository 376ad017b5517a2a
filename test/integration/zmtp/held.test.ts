/** What connections hold is given back when they are gone, whatever happens in between (D77). */
import { Holdings } from '../../../src/core/holdings.js';
import { destroySockets, RawSocket } from '../../support/raw-socket.js';
import { FACTORY, Server } from '../../support/transport-fixture.js';

/** More than the kernel takes for a peer that does not read. */
const MUCH = 32 << 20;

describe('a connection that is gone', () => {
  let server: Server;

  afterEach(async () => {
    destroySockets();
    await server.transport.close(0);
  });

  it('holds nothing, even if something was written to it in the turn in which it was reset', async () => {
    const holdings = new Holdings();
    const limits = { outputBytesMax: 2 * MUCH };
    server = await Server.open(FACTORY, ['tcp://127.0.0.1:0'], { holdings, limits });
    const deaf = await new RawSocket(server.endpoint).shakeHands();
    deaf.socket.pause();
    await server.untilTold('connected 0');
    server.send(0, 'x'.repeat(MUCH));
    server.transport.flush();
    expect(holdings.bytes).toBeGreaterThan(MUCH);
    server.send(0, 'more');
    deaf.socket.resetAndDestroy();
    await server.untilTold('disconnected 0');
    server.transport.flush();
    expect([holdings.bytes, ...holdings.accounts.values()]).toEqual([0]);
  });
});
