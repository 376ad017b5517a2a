import type { LostReason } from '../counters.js';

/** How a delivery ended without a reply that counts. */
export interface DeliveryEnd {
  /** The worker was lost, began anew, gave the request back, or failed on it. */
  readonly cause: LostReason | 'anew' | 'returned' | 'failed' | 'busy';
  /** The worker did not announce it, and may still send its reply (D8). */
  readonly mayStillReply: boolean;
  /** Text for the history of a stored request. */
  readonly text: string;
}

function lost(cause: LostReason, mayStillReply: boolean): DeliveryEnd {
  return { cause, mayStillReply, text: cause };
}

export const LOST_WITH_WORKER: Readonly<Record<LostReason, DeliveryEnd>> = {
  expired: lost('expired', true),
  connection: lost('connection', true),
  disconnected: lost('disconnected', false),
  protocol: lost('protocol', false),
  rights: lost('rights', false),
  drained: lost('drained', false),
};

/** The worker began a new conversation, or sent another reply instead (D33, D36). */
export const STARTED_ANEW: DeliveryEnd = {
  cause: 'anew',
  mayStillReply: true,
  text: 'its worker started anew',
};

/** The end when the worker declined the request. @param reason printable; may be empty */
export function returned(reason: string): DeliveryEnd {
  const text = reason === '' ? 'given back' : `given back: ${reason}`;
  return { cause: 'returned', mayStillReply: false, text };
}

/** The end of a request at a broker that had no worker available for it. It is no delivery. */
export const BUSY_ELSEWHERE: DeliveryEnd = {
  cause: 'busy',
  mayStillReply: false,
  text: 'no worker was available there',
};

/** The end when another broker lost the worker. @param text printable; may be empty */
export function lostElsewhere(text: string): DeliveryEnd {
  return { cause: 'connection', mayStillReply: true, text: text === '' ? 'lost' : text };
}

/** @param text what the worker reported */
export function failed(text: string): DeliveryEnd {
  return { cause: 'failed', mayStillReply: false, text };
}
