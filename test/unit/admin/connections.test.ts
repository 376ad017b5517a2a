/** Which connection over HTTP is closed to make room for another one. */
import { Socket } from 'node:net';

import { Connections, type ConnectionsOptions } from '../../../src/admin/io/connections.js';

const OPTIONS: ConnectionsOptions = {
  max: 3,
  ofGroupMax: 2,
  own: 0,
  closesOnlyIdle: false,
  descriptors: null,
};

/** Admits a connection of each group. @returns which of them are open */
function admitted(connections: Connections, ...names: readonly string[]): Socket[] {
  return names.map((name) => {
    const socket = new Socket();
    connections.admit(socket, name);
    return socket;
  });
}

function areOpen(sockets: readonly Socket[]): boolean[] {
  return sockets.map(({ destroyed }) => !destroyed);
}

describe('over the total', () => {
  it('the group with most connections loses one', () => {
    const connections = new Connections(OPTIONS);
    const [sockets] = [admitted(connections, 'a', 'a', 'b')];
    for (const socket of sockets.slice(0, 2)) connections.moved(socket, 'answered');
    admitted(connections, 'c');
    expect(areOpen(sockets)).toEqual([false, true, true]);
  });

  it('an idle one of another group is closed instead where those are spared that are answered', () => {
    const connections = new Connections({ ...OPTIONS, closesOnlyIdle: true });
    const sockets = admitted(connections, 'a', 'a', 'b');
    for (const socket of sockets.slice(0, 2)) connections.moved(socket, 'answered');
    expect(connections.fullFor('c', true)).toBeNull();
    admitted(connections, 'c');
    expect(areOpen(sockets)).toEqual([true, true, false]);
  });

  it('none is closed there while all are answered', () => {
    const connections = new Connections({ ...OPTIONS, closesOnlyIdle: true });
    const sockets = admitted(connections, 'a', 'a', 'b');
    for (const socket of sockets) connections.moved(socket, 'answered');
    expect(connections.fullFor('c', true)).toBe('all');
    admitted(connections, 'c');
    expect(areOpen(sockets)).toEqual([true, true, true]);
  });
});

it('the only connection of a group makes room for the next, and that one for the one behind it', () => {
  const connections = new Connections({ ...OPTIONS, ofGroupMax: 1 });
  expect(areOpen(admitted(connections, 'a', 'a', 'a'))).toEqual([false, false, true]);
});
