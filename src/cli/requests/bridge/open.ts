/** Opens the server of a target. */
import { readFileSync } from 'node:fs';

import { messageOf } from '../../../core/errors.js';
import { usage } from '../../common/options.js';
import { printable } from '../../common/output.js';
import { repServer } from './rep-server.js';
import type { Server } from './server.js';
import type { Target } from './target.js';
import { WebServer } from './web-server.js';

/** How long a web server may take for an answer: nothing else shows that it is silent. */
const WEB_TIMEOUT_MS = 60_000;

export interface ServerOptions {
  readonly concurrency: number;
  readonly timeoutMs?: number;
  /** For web servers: see `WebOptions`. */
  readonly contentType?: string;
  readonly ca?: string | undefined;
  readonly proxyEnv?: true;
}

/** @param lost called when a connection is lost while no request tells of it */
export async function openServer(
  { url, web }: Target,
  { concurrency, timeoutMs, contentType, ca, proxyEnv }: ServerOptions,
  lost: (why: string) => void,
): Promise<Server> {
  if (web === null) return await repServer(url, concurrency, timeoutMs ?? null, lost);
  const limitMs = timeoutMs ?? WEB_TIMEOUT_MS;
  const usesProxy = proxyEnv === true;
  return new WebServer(web, { concurrency, timeoutMs: limitMs, contentType, ca, usesProxy });
}

/** The content of `--ca`. @throws ERR_USAGE */
export function certificatesIn(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw usage(`--ca ${printable(file)}: ${messageOf(error)}`);
  }
}
