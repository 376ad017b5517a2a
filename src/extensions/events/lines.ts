/** The lines of the events of publishing (`events.listen`). */
import type { StreamEvent } from '../../stream/events.js';
import {
  lineOfKind as of,
  type LinesOf,
  rejectedLine as rejected,
  whoseOf,
} from '../../admin/log/log-line.js';

const STREAM_CLOSED = {
  slow: 'too much waits for it',
  limit: 'it subscribed to too much',
} as const;

export const STREAM_LINES: LinesOf<StreamEvent> = {
  'stream.closed': (event) => {
    const { name, reason, key, address } = event;
    const text = `a subscriber of the events was closed: ${STREAM_CLOSED[reason]} (${whoseOf(event)})`;
    return { ...of('warn', `${name} ${reason}`, text), who: key ?? address };
  },
  'stream.refused': (event) => {
    const { name, topic, key, address } = event;
    const text = `a subscription to the events was refused: its key may not have all that begin with '${topic}' (${whoseOf(event)})`;
    return { ...of('warn', `${name} rights`, text), who: key ?? address };
  },
  'stream.rejected': (event) => rejected(event, 'a connection to events.listen'),
};
