/** Sends one request of a program, and waits for what becomes of it. */
import type { Answer } from '../../admin/http/answer.js';
import { isLargeAlone } from '../../core/packed.js';
import { CLOSED, ENDS, EXPIRED } from './answers.js';
import type { Call, CallListener, Made } from './call.js';
import type { Body, Message } from './message.js';
import { Reply } from './reply.js';

/** The broker knows first that the time is over, and says why there is no reply. */
export const GRACE_MS = 250;
/** How many frames are taken before others have their turn. */
const SLICE_FRAMES = 256;

export type Outcome = Exclude<Message, { readonly kind: 'partial' }>;

/**
 * The last part of the reply, or why there is none.
 * @param send passes the request on to the call, with this listener
 * @param reply what the parts before the last are added to, without progress
 */
export function outcomeOf(
  timeoutMs: number,
  call: Pick<Call, 'next' | 'keepMade' | 'count' | 'checkRoom'>,
  send: (listener: CallListener) => void,
  reply: Reply = new Reply(),
): Promise<Outcome | Answer> {
  return new Promise((resolve) => {
    let isDone = false;
    const timer = setTimeout(() => {
      done(EXPIRED);
    }, timeoutMs + GRACE_MS);
    const done = (outcome: Outcome | Answer): false => {
      isDone = true;
      clearTimeout(timer);
      resolve(outcome);
      return false;
    };
    const add = (part: Message & Body): void => {
      if (part.kind === 'partial') reply.add(part);
      else call.keepMade(withLast(reply, part));
      call.count();
      const why = reply.bytes === 0 ? null : call.checkRoom();
      if (why !== null) done(ENDS[why]);
    };
    call.keepMade(reply);
    send({
      proceed: () => {
        for (let left = SLICE_FRAMES; left > 0 && !isDone;) {
          const message = call.next();
          if (message === null) return false;
          if ('frames' in message && !isProgress(message)) add(message);
          if (message.kind !== 'partial') return done(message);
          left -= message.frames.count;
        }
        return !isDone;
      },
      closed: (why) => {
        done(why === null ? CLOSED : ENDS[why]);
      },
    });
  });
}

function isProgress(message: Message): boolean {
  return message.kind === 'partial' && message.isProgress;
}

/** The last part is kept beside what was made of the others. */
function withLast({ bytes, roomBytes }: Reply, { frames }: Body): Made {
  let last = 0;
  let room = 0;
  for (let index = 0; index < frames.count; index++) {
    const [buffer, size] = [frames.buffer(index), frames.size(index)];
    last += size;
    room += isLargeAlone(buffer, size) ? buffer.length : size;
  }
  return { bytes: bytes + last, roomBytes: roomBytes + room };
}
