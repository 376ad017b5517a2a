/** A reply as server-sent events, part by part. */
import type { Answer, Stream } from '../../admin/http/answer.js';
import { terminalSafeJson } from '../../core/escape.js';
import { frameJson } from '../../core/frame-json.js';
import { failedError, refusalCode } from './answers.js';
import type { Incoming } from './ask.js';
import type { Message } from './message.js';

/** It shows the reader a live connection, and us a live reader. */
const HEARTBEAT_MS = 15_000;
const HEARTBEAT = ': heartbeat\n\n';

function eventOf(message: Message): string {
  switch (message.kind) {
    case 'partial':
      return partEvent(message.isProgress ? 'progress' : 'partial', message.frames);
    case 'reply':
      return partEvent('reply', message.frames);
    case 'failed':
      return event('error', { error: failedError(message).error });
    case 'refused':
      return event('error', { error: { code: refusalCode(message), message: message.text } });
  }
}

function partEvent(name: 'partial' | 'progress' | 'reply', frames: readonly Buffer[]): string {
  return event(name, { frames: frames.map(frameJson) });
}

function event(name: 'partial' | 'progress' | 'reply' | 'error', data: unknown): string {
  return `event: ${name}\ndata: ${terminalSafeJson(data)}\n\n`;
}

/** @param incoming whose first message is there */
export function eventStream(incoming: Pick<Incoming, 'grown' | 'read' | 'taken'>): Stream {
  return {
    type: 'text/event-stream; charset=utf-8',
    // A proxy that buffers answers would hold the events back.
    headers: { 'x-accel-buffering': 'no' },
    waitingMax: Infinity,
    open: (write, end) => {
      const heartbeat = setInterval(() => {
        write(HEARTBEAT);
      }, HEARTBEAT_MS);
      const stop = incoming.read(
        (message) => {
          const text = eventOf(message);
          const bytes = Buffer.byteLength(text);
          incoming.grown(bytes - ('bytes' in message ? message.bytes : 0));
          write(text, () => {
            incoming.taken(bytes);
          });
          if (message.kind !== 'partial') end();
        },
        (answer) => {
          write(`event: error\ndata: ${lineOf(answer)}\n\n`);
          end('now');
        },
      );
      return () => {
        clearInterval(heartbeat);
        stop();
      };
    },
  };
}

/** The JSON of an error on one line. */
function lineOf({ body }: Answer): string {
  return String(body).trim();
}
