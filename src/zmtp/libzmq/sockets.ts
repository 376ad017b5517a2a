/**
 * The two socket types of zeromq.js that this adapter uses, the options that its types leave out,
 * and the context of the sockets.
 */
import type { Context, Dealer, Router, SocketOptions } from 'zeromq';

import { loadInstalled } from '../installed.js';
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

/** A ROUTER with the options of the broker. */
export interface MarkedRouter extends Router {
  /** Enables CURVE; the handler decides who may connect. */
  useCurve(secretKey: Buffer, zapDomain: string): void;
  /** @returns false if this libzmq was built without the draft option */
  markDisconnects(marker: Buffer): boolean;
}

/** A DEALER with the options of a link. */
export interface NamedDealer extends Dealer {
  useCurve(keys: CurveClientKeys): void;
  /** Sets the option `routingId`, for which zeromq.js accepts only text. */
  nameItself(routingId: Buffer): void;
}

interface Classes {
  readonly context: Context;
  readonly MarkedRouter: new (options: SocketOptions<Router>) => MarkedRouter;
  readonly NamedDealer: new (options: SocketOptions<Dealer>) => NamedDealer;
}

let made: Classes | undefined;

/** Loads zeromq at the first call: few programs of the SDK have it. */
export function libzmq(): Classes {
  made ??= make(loadInstalled('zeromq') as typeof import('zeromq'));
  return made;
}

function make(zeromq: typeof import('zeromq')): Classes {
  // A context of our own, because `blocky` and `maxSockets` of the global one belong to the program
  // that uses the SDK. It lives as long as the process: an unused context costs two idle threads, and
  // ending one can block.
  const context = new zeromq.Context({ blocky: false, maxSockets: SOCKETS_MAX });

  class OwnRouter extends zeromq.Router implements MarkedRouter {
    constructor(options: SocketOptions<Router>) {
      super({ context, ...options });
    }

    useCurve(secretKey: Buffer, zapDomain: string): void {
      this.curveServer = true;
      this.curveSecretKey = encodeZ85(secretKey);
      this.zapDomain = zapDomain;
      this.setBoolOption(ZAP_ENFORCE_DOMAIN, true);
    }

    markDisconnects(marker: Buffer): boolean {
      try {
        this.setStringOption(DISCONNECT_MSG, marker);
        return true;
      } catch {
        return false;
      }
    }
  }

  class OwnDealer extends zeromq.Dealer implements NamedDealer {
    constructor(options: SocketOptions<Dealer>) {
      super({ context, ...options });
    }

    useCurve({ serverKey, publicKey, secretKey }: CurveClientKeys): void {
      this.curveServerKey = encodeZ85(serverKey);
      this.curvePublicKey = encodeZ85(publicKey);
      this.curveSecretKey = encodeZ85(secretKey);
    }

    nameItself(routingId: Buffer): void {
      this.setStringOption(ROUTING_ID, routingId);
    }
  }

  return { context, MarkedRouter: OwnRouter, NamedDealer: OwnDealer };
}
