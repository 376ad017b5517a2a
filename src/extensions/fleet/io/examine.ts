/** For `majordomo doctor`: what one NATS server says. */
import { type BusOptions, connectionOptions, isRefusal, refused } from './connect.js';
import { loadNats } from './library.js';

export interface NatsServerFacts {
  /** The connection has TLS. */
  readonly isSealed: boolean;
  /** Whether the server lets nobody in without credentials. */
  readonly asksForCredentials: boolean;
}

/**
 * Connects once.
 * @throws ERR_FLEET_REFUSED: it did not let this node in; an error of the library: it does not answer
 */
export async function examineNats(options: BusOptions): Promise<NatsServerFacts> {
  const library = await loadNats();
  try {
    const once = { ...connectionOptions(library, options), maxReconnectAttempts: 0 };
    const connection = await library.connect(once);
    const { info } = connection;
    await connection.close();
    return {
      isSealed: info?.tls_required === true || info?.tls_available === true,
      asksForCredentials: info?.auth_required === true,
    };
  } catch (error) {
    throw isRefusal(error) ? refused(error) : error;
  }
}
