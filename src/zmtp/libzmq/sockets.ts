/**
 * The two socket types of zeromq.js that this adapter uses, the options that its types leave out,
 * and the context of the sockets.
 */
import { Context, Dealer, Router } from 'zeromq';
import type { SocketOptions } from 'zeromq';

import { encodeZ85 } from '../../core/z85.js';
import type { CurveClientKeys } from '../curve/client.js';

const ROUTING_ID = 5;
/** Draft: when a peer's connection ends, a ROUTER reads this as if the peer had sent it. */
const DISCONNECT_MSG = 111;
/**
 * Without a ZAP handler libzmq then refuses every connection; without this option it lets all in.
 */
const ZAP_ENFORCE_DOMAIN = 93;

/** A program may open many links; libzmq's default limit is 1023 sockets. */
const SOCKETS_MAX = 65_535;

let shared: Context | undefined;

/**
 * A context of our own, because `blocky` and `maxSockets` of the global one belong to the program
 * that uses the SDK. It lives as long as the process: an unused context costs two idle threads, and
 * ending one can block.
 */
export function libzmqContext(): Context {
  shared ??= new Context({ blocky: false, maxSockets: SOCKETS_MAX });
  return shared;
}

export class MarkedRouter extends Router {
  constructor(options: SocketOptions<Router>) {
    super({ context: libzmqContext(), ...options });
  }

  /** Enables CURVE; the handler decides who may connect. */
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

  /** Sets the option `routingId`, for which zeromq.js accepts only text. */
  nameItself(routingId: Buffer): void {
    this.setStringOption(ROUTING_ID, routingId);
  }
}
