/** The failures that workers of one service reported, by code, from the events of the page. */
import { DataTable } from './data-table.js';
import { text } from './dom.js';
import type { ReceivedEvent } from './event-stream.js';
import { count, line, moment } from './format.js';
import { empty } from './status-line.js';

export interface CodeGroup {
  readonly code: string;
  readonly count: number;
  /** The message of the latest one. */
  readonly said: string;
  readonly time: string;
}

/** @param events newest first */
export function failuresByCode(events: readonly ReceivedEvent[], service: string): CodeGroup[] {
  const groups = new Map<string, CodeGroup>();
  for (const received of events) {
    if (received.event !== 'request.failed' || received['service'] !== service) continue;
    const code = wordsOf(received['code']);
    const known = groups.get(code);
    if (known === undefined) {
      const said = wordsOf(received['text']);
      groups.set(code, { code, count: 1, said, time: received.time });
    } else {
      groups.set(code, { ...known, count: known.count + 1 });
    }
  }
  return [...groups.values()];
}

export function failureTable(): DataTable<CodeGroup> {
  return new DataTable<CodeGroup>({
    label: 'Failures by code',
    columns: [
      { head: 'Code', show: ({ code }, cell) => text(cell, line(code)), by: ({ code }) => code },
      {
        head: 'Failures',
        show: ({ count: failures }, cell) => text(cell, count(failures)),
        by: ({ count: failures }) => failures,
        isNumber: true,
        isLargeFirst: true,
      },
      { head: 'Last message', show: ({ said }, cell) => text(cell, line(said)) },
      {
        head: 'Last seen',
        show: ({ time }, cell) => text(cell, moment(time)),
        by: ({ time }) => time,
        isLargeFirst: true,
        isMinor: true,
      },
    ],
    key: ({ code }) => code,
    sortedBy: 1,
    pageRows: 20,
    whenEmpty: empty('No failures', 'None in the last 1,000 events of this node.'),
  });
}

/** What the broker does not show to readers without a token is absent. */
function wordsOf(field: unknown): string {
  return typeof field === 'string' ? field : '';
}
