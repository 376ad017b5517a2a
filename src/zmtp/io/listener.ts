import { createServer, type ListenOptions, type Server, type Socket } from 'node:net';

/** One listening socket. */
export interface Listening {
  /** The port that the system chose or was asked for; `null` for ipc. */
  readonly port: number | null;
  setConnectionsMax(connections: number): void;
  /** No more connections; those that are there stay. */
  close(): void;
}

export interface ListenerEvents {
  accepted(socket: Socket): void;
  /** A connection was turned away because `connectionsMax` are there. */
  dropped(): void;
  /** Accepting failed, for instance because descriptors ran out; it goes on by itself. */
  failed(error: Error): void;
}

const BACKLOG = 1024;

/** Rejects with the system's error (`EADDRINUSE` …) if it cannot listen there. */
export function listen(
  where: ListenOptions,
  connectionsMax: number,
  events: ListenerEvents,
): Promise<Listening> {
  const server = createServer({ noDelay: true });
  server.maxConnections = connectionsMax;
  server.on('connection', (socket) => {
    events.accepted(socket);
  });
  server.on('drop', () => {
    events.dropped();
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...where, backlog: BACKLOG }, () => {
      server.off('error', reject);
      server.on('error', (error) => {
        events.failed(error);
      });
      resolve(listening(server));
    });
  });
}

function listening(server: Server): Listening {
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : null,
    setConnectionsMax: (connections) => {
      server.maxConnections = connections;
    },
    close: () => {
      server.close();
    },
  };
}
