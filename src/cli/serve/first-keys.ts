/** `serve --init`: creates the missing key files that the listeners name. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

import type { Config } from '../../config/config.js';
import {
  type ListenerCurveConfig,
  type PublisherConfig,
  secretKeyFilesOf,
} from '../../config/entries.js';
import type { CurveCrypto } from '../../zmtp/curve/crypto.js';
import { madeOrFound, makeDirectory, SECRET_MODE, write } from '../keys/key-files.js';

/** Name of the first client's key, beside the keys file that admits it. */
const CLIENT = 'client';

interface Listener extends Pick<PublisherConfig, 'endpoint'> {
  readonly curve?: ListenerCurveConfig | undefined;
  /** The command with which its first client tries it; the endpoint follows. */
  readonly line: string;
}

/**
 * Creates the key of each listener with CURVE, and its keys file with one client in it. Existing
 * files stay as they are, so this can be done at every start.
 * @returns lines that say what was created, without secrets; none if nothing was
 * @throws ERR_OUTPUT, ERR_CONFIG_FILE
 */
export function makeFirstKeys(
  { broker, events, map }: Config,
  crypto: CurveCrypto,
): readonly string[] {
  const listeners: readonly Listener[] = [
    ...broker.listen.map(({ endpoint, curve }) => {
      return { endpoint, curve, line: 'request SERVICE --endpoint' };
    }),
    ...(events.listen === null ? [] : [{ ...events.listen, line: 'events --events' }]),
    ...(map.listen === null ? [] : [{ ...map.listen, line: 'map watch / --map' }]),
  ];
  const lines: string[] = [];
  for (const listener of listeners) {
    const { curve } = listener;
    if (curve === undefined) continue;
    const isNew = !existsSync(curve.keysFile);
    const serverKey = serverKeyOf(curve, crypto);
    if (!isNew) continue;
    const clientKeyFile = addFirstClient(curve.keysFile, crypto);
    lines.push(...introduction(listener, curve, serverKey, clientKeyFile));
  }
  return lines;
}

/** The public key by which clients recognise the listener. */
function serverKeyOf(curve: ListenerCurveConfig, crypto: CurveCrypto): string {
  const [first = ''] = secretKeyFilesOf(curve).map((file) => {
    makeDirectory(dirname(file));
    return madeOrFound(file, crypto);
  });
  return first;
}

function addFirstClient(keysFile: string, crypto: CurveCrypto): string {
  makeDirectory(dirname(keysFile));
  const clientKeyFile = join(dirname(keysFile), `${CLIENT}.key`);
  const publicKey = madeOrFound(clientKeyFile, crypto);
  const text = [
    '# The keys that may connect, and their rights: docs/operating.md, Keys and rights. Changes apply at once.',
    `- name: ${CLIENT}`,
    `  publicKey: '${publicKey}'`,
    "  client: ['*'] # the services that it may request; * and ? are wildcards",
    "  worker: ['*'] # the services that it may offer",
  ];
  write(keysFile, `${text.join('\n')}\n`, SECRET_MODE);
  return clientKeyFile;
}

function introduction(
  { endpoint, line }: Listener,
  curve: ListenerCurveConfig,
  serverKey: string,
  clientKeyFile: string,
): string[] {
  const [serverKeyFile = ''] = secretKeyFilesOf(curve);
  const dialled = endpoint.replace(/^tcp:\/\/(\*|0\.0\.0\.0|\[::\]):/, 'tcp://HOST:');
  return [
    `Created keys for ${endpoint}:`,
    `  ${serverKeyFile}   the secret key of this broker; keep it here`,
    `  ${curve.keysFile}   the keys that may connect; so far only the first client's`,
    `  ${clientKeyFile}   the secret key of that client; copy it to the client's machine`,
    'On the client, run:',
    `  majordomo ${line} ${dialled} --curve-key-file ${CLIENT}.key --curve-server-key '${serverKey}'`,
  ];
}
