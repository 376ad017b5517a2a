import type { MajordomoError } from '../../core/errors.js';
import type { Body, BodyFrames } from '../body.js';
import type { Call, CallOwner } from '../client/call.js';
import type { MdpExchange } from '../client/mdp-exchange.js';
import type { Decoders, Message } from '../message.js';
import type { ClientSettings } from '../options.js';
import type { RequestSettings } from '../request-options.js';

/** What durable requests need of the client. */
export interface Asker {
  readonly settings: ClientSettings;
  readonly broker: Pick<
    MdpExchange,
    'offers' | 'learn' | 'isSilent' | 'isConnected' | 'missed' | 'askWhyNow' | 'whyOf'
  >;
  /** Makes the body of a request for a service. */
  encode(service: string, body: unknown): BodyFrames;
  /** Reads the values of what a service sends. @param service as in `Job` */
  decodersOf(service: string): Decoders;
  request(service: string, body: Body, settings: RequestSettings): Promise<Message>;
  /**
   * Sends a request, as `request` does, with settings already checked.
   * @param owner gets what arrives, and after a part the request is not sent again, as a stream; absent: the parts of an
   *   answer are joined, and `resolve` and `reject` called
   * @returns `null` if it has failed already
   */
  ask(
    service: string,
    body: Body,
    settings: RequestSettings,
    resolve: (reply: Message) => void,
    reject: (error: MajordomoError) => void,
    owner?: CallOwner,
  ): Call | null;
  /** Gives up a call that nobody waits for any longer. */
  abandon(call: Call): void;
  /** Gives up a call whose time is over. @returns what it fails with */
  giveUp(call: Call): MajordomoError;
}
