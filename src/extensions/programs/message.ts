/** What a program's request brings: the reply, in parts or as a whole, or why there is none. */
import type { Frames } from '../../core/frames.js';
import { readClientReply } from '../../wire/client-side.js';
import { readClientFailure } from '../../wire/failure.js';
import { MMI_FAILED, MMI_REFUSED } from '../../wire/mmi.js';
import { isProgress } from '../../wire/progress.js';

export type Message =
  | {
      readonly kind: 'partial';
      readonly frames: readonly Buffer[];
      readonly bytes: number;
      /** Its frames tell of progress, and are no part of the reply. */
      readonly isProgress: boolean;
    }
  | { readonly kind: 'reply'; readonly frames: readonly Buffer[]; readonly bytes: number }
  /** The broker's refusal (D11): its status, and why. */
  | { readonly kind: 'refused'; readonly status: string; readonly text: string }
  /** What a worker reported (D62), or the broker of its answer. */
  | {
      readonly kind: 'failed';
      readonly code: string;
      readonly text: string;
      readonly detail: readonly Buffer[];
    };

/** Its frames are views. */
export function messageOf(frames: Frames): Message {
  const reply = readClientReply(frames);
  if (reply.kind === 'malformed') return unusable(reply.reason);
  const body: Buffer[] = [];
  let bytes = 0;
  for (let index = 0; index < frames.count; index++) {
    bytes += frames.size(index);
    if (index >= reply.body) body.push(frames.view(index));
  }
  const service = frames.view(reply.service).toString('latin1');
  if (reply.kind === 'partial') {
    const isOfProgress = isProgress(frames, reply.body);
    return {
      kind: 'partial',
      frames: isOfProgress ? body.slice(1) : body,
      bytes,
      isProgress: isOfProgress,
    };
  }
  if (service === MMI_REFUSED) {
    const [status = '', , text = ''] = body.map((frame) => frame.toString('utf8'));
    return { kind: 'refused', status, text };
  }
  if (service !== MMI_FAILED) return { kind: 'reply', frames: body, bytes };
  const failure = readClientFailure(body);
  if (failure === null) return unusable('a failure without code');
  const { code, text, detail } = failure;
  return { kind: 'failed', code, text, detail };
}

function unusable(why: string): Message {
  return { kind: 'refused', status: '502', text: why };
}
