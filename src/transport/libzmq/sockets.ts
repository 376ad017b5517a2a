/**
 * The two socket types of zeromq.js that this adapter uses, with what its typed options do not
 * reach, and the context that they live in.
 */
import { Context, Dealer, Router } from 'zeromq';
import type { SocketOptions } from 'zeromq';

import { encodeZ85 } from '../../core/z85.js';
import type { CurveClientKeys } from '../../zmtp/curve/client.js';

const ROUTING_ID = 5;
/** Draft: what a ROUTER reads, as if the peer had sent it, when a peer's connection has ended. */
const DISCONNECT_MSG = 111;
/** Without a ZAP handler nobody comes in, where without this everybody would. */
const ZAP_ENFORCE_DOMAIN = 93;

/** A user's program may open many links; libzmq's own bound is 1023 sockets. */
const SOCKETS_MAX = 65_535;

let shared: Context | undefined;

/**
 * A context of our own, because `blocky` and `maxSockets` of the global one belong to the program
 * that uses the SDK. It lives as long as the process: a context that nobody uses costs two idle
 * threads, and ending one can block.
 */
export function libzmqContext(): Context {
  shared ??= new Context({ blocky: false, maxSockets: SOCKETS_MAX });
  return shared;
}

export class MarkedRouter extends Router {
  constructor(options: SocketOptions<Router>) {
    super({ context: libzmqContext(), ...options });
  }

  /** CURVE, with the one handler asked about who comes in. */
  useCurve(secretKey: Buffer, zapDomain: string): void {
    this.curveServer = true;
    this.curveSecretKey = encodeZ85(secretKey);
    this.zapDomain = zapDomain;
    this.setBoolOption(ZAP_ENFORCE_DOMAIN, true);
  }

  /** @returns false if this libzmq was built without the draft option */
  markDisconnects(marker: Buffer): boolean {
    try {
      this.setStringOption(DISCONNECT_MSG, marker);
      return true;
    } catch {
      return false;
    }
  }
}

export class NamedDealer extends Dealer {
  constructor(options: SocketOptions<Dealer>) {
    super({ context: libzmqContext(), ...options });
  }

  useCurve({ serverKey, publicKey, secretKey }: CurveClientKeys): void {
    this.curveServerKey = encodeZ85(serverKey);
    this.curvePublicKey = encodeZ85(publicKey);
    this.curveSecretKey = encodeZ85(secretKey);
  }

  /** As the option `routingId`, which takes text only. */
  nameItself(routingId: Buffer): void {
    this.setStringOption(ROUTING_ID, routingId);
  }
}
