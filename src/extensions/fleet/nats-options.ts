/** Where and how a node connects to NATS: for the node, and for `doctor`. */
import type { Config } from '../../config/config.js';
import { readPrivateFile, refusedFile } from '../../config/io/private-file.js';
import {
  type Credentials,
  CREDENTIALS_BYTES_MAX,
  credentialsOf,
  NO_CREDENTIALS,
} from './io/credentials.js';
import type { BusOptions } from './io/connect.js';
import type { NatsServerFacts } from './io/examine.js';

/** @throws ERR_CONFIG_FILE if the file of the credentials cannot be used */
export function natsOptionsOf({ fleet, node }: Pick<Config, 'fleet' | 'node'>): BusOptions {
  const { nats, natsCredsFile: file } = fleet;
  const options = { servers: nats, name: node.name };
  if (file === null) return { ...options, credentials: () => null };
  let last = read(file);
  const credentials = (): Credentials => {
    try {
      last = read(file);
    } catch {
      // The file is being replaced: the server decides about the former ones.
    }
    return last;
  };
  return { ...options, credentials };
}

function read(file: string): Credentials {
  const text = readPrivateFile(file, 'these credentials', CREDENTIALS_BYTES_MAX);
  const credentials = credentialsOf(text);
  if (credentials === null) throw refusedFile(file, NO_CREDENTIALS);
  return credentials;
}

/**
 * What one of the servers says, for `doctor`.
 * @throws ERR_CONFIG_FILE, ERR_FLEET_REFUSED; an error of the library: it does not answer
 */
export async function askNats(
  config: Pick<Config, 'fleet' | 'node'>,
  url: string,
): Promise<NatsServerFacts> {
  const options = natsOptionsOf(config);
  const { examineNats } = await import('./io/examine.js');
  return await examineNats({ ...options, servers: [url] });
}
