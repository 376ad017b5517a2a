import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { ByteSource } from '../../../src/zmtp/sockets/byte-source.js';
import { until } from '../../support/until.js';

let server: Server;
let dialler: Socket;
let accepted: Socket;

async function pair(): Promise<void> {
  server = createServer({ pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const comes = once(server, 'connection');
  dialler = connect(address.port, '127.0.0.1');
  accepted = await comes.then(([socket]) => socket as Socket);
}

/** As in a version of Node with other sockets. */
function hideHandle(): void {
  const handle: unknown = Reflect.get(accepted, '_handle');
  Object.defineProperty(handle, 'useUserBuffer', { value: undefined });
}

describe('An accepted socket', () => {
  afterEach(() => {
    dialler.destroy();
    server.close();
  });

  it('is read into the shared buffer by this version of Node', async () => {
    await pair();
    const { socket } = ByteSource.accepted(accepted);
    expect(socket).not.toBe(accepted);
    expect(accepted.destroyed).toBe(true);
    socket.destroy();
  });

  it.each([
    ['whose handle is known', false],
    ['whose handle is not known', true],
  ])('%s gives what came before and after somebody reads, in order', async (_, isHidden) => {
    await pair();
    if (isHidden) hideHandle();
    const source = ByteSource.accepted(accepted);
    let text = '';
    let hasEnded = false;
    source.socket.on('end', () => {
      hasEnded = true;
    });
    dialler.write('early ');
    await until(
      () => dialler.bytesWritten === 6 && source.socket.bytesRead === 6,
      'all bytes are read',
    );
    dialler.write('and ');
    await nextTurn();
    source.read((bytes, size) => {
      text += bytes.toString('latin1', 0, size);
      return true;
    });
    expect(text).toBe('');
    await until(() => text === 'early and ', 'the early bytes');
    const answers = once(dialler, 'data') as Promise<[Buffer]>;
    source.socket.write('answer');
    const [answer] = await answers;
    expect(answer.toString()).toBe('answer');
    dialler.end('late');
    await until(() => hasEnded, 'the end');
    expect(text).toBe('early and late');
    await until(() => source.socket.destroyed, 'the socket is closed');
  });
});
