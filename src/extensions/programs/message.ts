/** What a program's request brings: the reply, in parts or as a whole, or why there is none. */
import type { Frames } from '../../core/frames.js';
import { readClientReply } from '../../wire/client-side.js';
import { readClientFailure } from '../../wire/failure.js';
import { MMI_FAILED, MMI_REFUSED } from '../../wire/mmi.js';
import { isProgress } from '../../wire/progress.js';

/** The frames of a message from the index `body` on. */
export interface Body {
  readonly frames: Frames;
  readonly body: number;
}

export type Message =
  /** Whether the frames tell of progress, and so are no part of the reply. */
  | ({ readonly kind: 'partial'; readonly isProgress: boolean } & Body)
  | ({ readonly kind: 'reply' } & Body)
  /** The broker's refusal (D11): its status, and why. */
  | { readonly kind: 'refused'; readonly status: string; readonly text: string }
  /** What a worker reported (D62), or the broker of its answer. */
  | {
      readonly kind: 'failed';
      readonly code: string;
      readonly text: string;
      readonly detail: readonly Buffer[];
    };

export function messageOf(frames: Frames): Message {
  const reply = readClientReply(frames);
  if (reply.kind === 'malformed') return unusable(reply.reason);
  const { body } = reply;
  if (reply.kind === 'partial') {
    const isOfProgress = isProgress(frames, body);
    return {
      kind: 'partial',
      isProgress: isOfProgress,
      frames,
      body: isOfProgress ? body + 1 : body,
    };
  }
  const service = frames.view(reply.service).toString('latin1');
  if (service === MMI_REFUSED) {
    const [status = '', , text = ''] = frames.copyFrom(body).map(String);
    return { kind: 'refused', status, text };
  }
  if (service !== MMI_FAILED) return { kind: 'reply', frames, body };
  const failure = readClientFailure(frames.copyFrom(body));
  if (failure === null) return unusable('a failure without code');
  const { code, text, detail } = failure;
  return { kind: 'failed', code, text, detail };
}

function unusable(why: string): Message {
  return { kind: 'refused', status: '502', text: why };
}
