/**
 * Access control where libzmq handles CURVE: the handler that libzmq asks over 27/ZAP, one for the
 * process, with a domain for each listener.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Reply } from 'zeromq';

import { codeOf } from '../../core/errors.js';
import { type Authorise, NOT_KNOWN, type Verdict } from '../../zmtp/curve/server.js';
import { keyShown } from '../../zmtp/identity.js';
import type { Rejected } from '../../zmtp/port.js';
import { libzmq } from '../../zmtp/libzmq/sockets.js';

/** (With `…01.0` at the end, bind succeeds but libzmq never asks it and lets every key in.) */
const ENDPOINT = 'inproc://zeromq.zap.01';
const BIND_TRIES = 100;
const BIND_RETRY_MS = 10;
const VERSION = '1.0';
/** Version, request id, domain, address, identity, mechanism, credentials. */
const REQUEST_FRAMES = 7;

/** 400: ERROR, and libzmq gives up. 300: closed silently, and it tries again. */
const STATUS: Readonly<Record<Verdict['kind'], string>> = {
  allowed: '200',
  refused: '400',
  unavailable: '300',
};

type Refused = (kind: 'key' | 'keys', reason: string, from: Rejected) => void;

interface Domain {
  readonly authorise: Authorise;
  readonly refused: Refused;
}

const domains = new Map<string, Domain>();
let handler: Promise<Reply> | null = null;
let last = 0;

/**
 * Adds a domain. Resolves when the handler is running.
 * @param refused called for each connection that is refused
 * @returns its name
 */
export async function addZapDomain(authorise: Authorise, refused: Refused): Promise<string> {
  const name = `majordomo-${++last}`;
  domains.set(name, { authorise, refused });
  handler ??= openHandler();
  await handler;
  return name;
}

/** Removing the last domain closes the handler: from then on every connection is refused. */
export async function removeZapDomain(name: string): Promise<void> {
  if (!domains.delete(name) || domains.size > 0) return;
  const closing = handler;
  handler = null;
  (await closing)?.close();
}

async function openHandler(): Promise<Reply> {
  const socket = new Reply({ context: libzmq().context, linger: 0 });
  for (let tries = BIND_TRIES; ; tries--) {
    try {
      await socket.bind(ENDPOINT);
      break;
    } catch (error) {
      // A libzmq thread closes the previous handler asynchronously.
      if (codeOf(error) !== 'EADDRINUSE' || tries === 1) throw error;
      await delay(BIND_RETRY_MS);
    }
  }
  void answer(socket);
  return socket;
}

async function answer(socket: Reply): Promise<void> {
  try {
    for await (const request of socket) await socket.send(replyTo(request));
  } catch (error) {
    // Closed during the pending read.
    if (!socket.closed) throw error;
  }
}

function replyTo(request: readonly Buffer[]): (string | Buffer)[] {
  const [, id = Buffer.alloc(0), domain = '', address = '', , mechanism, key] = request;
  const found = domains.get(String(domain));
  const isCurve = request.length === REQUEST_FRAMES && String(mechanism) === 'CURVE';
  const verdict: Verdict =
    isCurve && found !== undefined && key !== undefined
      ? found.authorise(key, String(address))
      : { kind: 'unavailable', why: 'it presented no key' };
  if (verdict.kind !== 'allowed') {
    const from = { address: String(address), key: isCurve && key ? keyShown(key) : null };
    if (verdict.kind === 'refused') found?.refused('key', NOT_KNOWN, from);
    else found?.refused('keys', verdict.why, from);
  }
  const name = verdict.kind === 'allowed' ? verdict.name : '';
  return [VERSION, id, STATUS[verdict.kind], '', name, ''];
}
