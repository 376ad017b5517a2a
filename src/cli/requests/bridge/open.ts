/** Opens the server of a target. */
import { usage } from '../../common/options.js';
import { printable } from '../../common/output.js';
import { repServer } from './rep-server.js';
import type { Server } from './server.js';
import type { Target } from './target.js';
import { isSendable } from './web-answer.js';
import { WebServer } from './web-server.js';

/** How long a web server may take for an answer: nothing else shows that it is silent. */
const WEB_TIMEOUT_MS = 60_000;

/** Node.js has it since 22.21 and 24.5, together with the agents that use it. */
const PROXY_FLAG = '--use-env-proxy';

export interface ServerOptions {
  readonly concurrency: number;
  readonly timeoutMs?: number;
  /** For web servers: see `WebOptions`. */
  readonly contentType?: string;
  readonly ca?: string | undefined;
  readonly proxyEnv?: true;
}

/** Options that Node.js would refuse at the first request only, or not at all. @throws ERR_USAGE */
export function checkHttp(
  { contentType, proxyEnv }: Pick<ServerOptions, 'contentType' | 'proxyEnv'>,
  flags: ReadonlySet<string> = process.allowedNodeEnvironmentFlags,
): void {
  if (contentType !== undefined && !isSendable('content-type', contentType)) {
    throw usage(`--content-type ${printable(contentType)}: HTTP cannot carry this in a header`);
  }
  if (proxyEnv === true && !flags.has(PROXY_FLAG)) {
    const { node } = process.versions;
    throw usage(`--proxy-env needs Node.js 22.21 or later, or from 24.5 on; this is ${node}`);
  }
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
