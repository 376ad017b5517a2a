import type { IncomingMessage, ServerResponse } from 'node:http';

import { TOKEN_GONE, wrongToken } from '../http/guard.js';
import type { HeaderValues, Incoming } from '../http/route.js';
import { readBytes, tooLarge } from './body.js';
import type { DirectRequest } from './direct.js';

/** Where a request came from; `null`: a local socket. */
export function addressOf({ socket }: IncomingMessage): string | null {
  return socket.remoteAddress ?? null;
}

/**
 * @param headersOf reads the values of its headers, at the first call
 * @param goOn sends 100 Continue to a client that waits for it
 * @param repeats see `Incoming.repeats`
 * @param copied see `readBytes`
 */
export function incomingOf(
  request: IncomingMessage,
  response: ServerResponse,
  headersOf: () => HeaderValues,
  goOn: () => void,
  repeats: Incoming['repeats'],
  copied: (bytes: number) => void,
): Incoming {
  return {
    address: addressOf(request),
    get headers() {
      return headersOf();
    },
    bytes: async (bytesMax, keep, placeFor) => {
      const kept = (more: number): boolean => {
        if (response.headersSent) return false;
        keep(more);
        return true;
      };
      const bytes = await readBytes(request, goOn, bytesMax, kept, placeFor, copied);
      if (response.headersSent) throw wrongToken(TOKEN_GONE);
      // The reply may take longer than a connection may be idle.
      request.socket.setTimeout(0);
      return bytes;
    },
    onClosed: (then) => {
      if (response.closed) then();
      else response.once('close', then);
    },
    drop: () => {
      response.destroy();
    },
    repeats,
  };
}

/** What has arrived as a whole, with its body. */
export function directIncoming(
  request: DirectRequest,
  headers: HeaderValues,
  body: Buffer,
  repeats: Incoming['repeats'],
): Incoming {
  return {
    address: request.address,
    headers,
    bytes: async (bytesMax, keep) => {
      if (body.length > bytesMax) throw tooLarge(bytesMax);
      if (request.isWaiting && body.length > 0) keep(body.length);
      if (!request.isWaiting) throw wrongToken(TOKEN_GONE);
      return await Promise.resolve(body);
    },
    onClosed: (then) => request.onClosed(then),
    drop: request.drop,
    repeats,
  };
}
