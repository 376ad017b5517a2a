/** The figures of attacks as Markdown; generates docs/performance-hostile.md. */
import { type Others, othersText } from '../others.js';
import { quantile } from '../failover/load.js';
import { type Judged, missedText, table, times, verdictOf, whole } from '../markdown.js';
import type { Measured } from './measure.js';
import type { Scene } from './scenes.js';

export interface HostileReport {
  readonly facts: readonly string[];
  readonly measured: readonly Measured[];
  readonly seconds: number;
  readonly memoryBytes: number;
  /** What other processes used. */
  readonly others: Others;
}

const LONGEST_MS_MAX = 250;
const NEWCOMER_MS_MAX = 1000;
const MEMORY_TIMES_MAX = 1.25;
const MIB = 2 ** 20;
const MEMORY_SLACK_BYTES = 64 * MIB;

export function renderHostile(report: HostileReport): string {
  return `${[
    '# Performance under attack',
    '<!-- Written by `npm run bench:hostile -- --write`: run that instead of editing this. -->',
    'One peer without a key attacks from one address while others send and serve requests. This page shows how long\nthese wait, compared with the same broker at rest just before, and what resources the attack costs the broker.',
    report.facts.map((fact) => `- ${fact}`).join('\n'),
    '## How long other peers wait',
    waitTable(report),
    '## What it costs the broker, and which peers it loses',
    costTable(report),
    '## How to read this',
    reading(report),
  ].join('\n\n')}\n`;
}

/** Infinity without values: a figure that could not be measured meets no bound. */
function longestOf(values: readonly number[]): number {
  return values.length === 0 ? Infinity : Math.max(...values);
}

/** Makes the judged cells of an attack, and adds what was judged. The control is not. */
function cellsOf({ title, isControl, why }: Scene, judged: Judged[]) {
  return (about: string, text: string, isMet: boolean): string => {
    if (isControl === true) return text;
    judged.push({ about: `${about}: ${title}`, isMet, why });
    return isMet ? text : `${text} ${verdictOf({ isMet })}`;
  };
}

function waitTable({ measured }: HostileReport): string {
  const judged: Judged[] = [];
  const rows = measured.flatMap(({ scene, rest, attacked }) => {
    const cell = cellsOf(scene, judged);
    const of = (who: string, before: readonly number[], under: readonly number[]): string[] => {
      const [p99Before, p99] = [quantile(before, 0.99), quantile(under, 0.99)];
      const longest = longestOf(under);
      return [
        scene.title,
        who,
        `${millis(p99Before)}, ${millis(p99)}`,
        times(p99 / p99Before),
        millis(longestOf(before)),
        cell(`longest wait of a ${who}`, millis(longest), longest <= LONGEST_MS_MAX),
      ];
    };
    return [
      of('client', rest.client, attacked.client),
      of('worker', rest.worker, attacked.worker),
      ...(scene.tells === true ? [of('receiver', rest.receiver, attacked.receiver)] : []),
      ...(scene.stores === true ? [of('storing client', rest.receipt, attacked.receipt)] : []),
    ];
  });
  const text = table(
    [
      'attack',
      'who',
      'p99 at rest, under it',
      'ratio',
      'longest at rest',
      `longest under it (≤ ${LONGEST_MS_MAX} ms)`,
    ],
    rows,
  );
  return [text, ...missedText(judged)].join('\n\n');
}

function costTable({ measured, memoryBytes }: HostileReport): string {
  const bytesMax = MEMORY_TIMES_MAX * memoryBytes + MEMORY_SLACK_BYTES;
  const judged: Judged[] = [];
  const rows = measured.map(({ scene, attacked, sent, grownBytes, workersLost, gone }) => {
    const { failures, newcomer } = attacked;
    const longest = longestOf(newcomer);
    const kinds = [...new Set(failures)].join(', ');
    const failed = `${failures.length}${kinds === '' ? '' : ` (${kinds})`}`;
    const cell = cellsOf(scene, judged);
    return [
      scene.title,
      scene.unit === '' ? '–' : `${whole(sent)} ${scene.unit}`,
      cell('memory', mebi(grownBytes), grownBytes <= bytesMax),
      cell('workers lost', String(workersLost), workersLost === 0),
      cell('requests failed', failed, failures.length === 0),
      cell(
        'new clients',
        `${millis(longest)} (${newcomer.length} clients)`,
        longest <= NEWCOMER_MS_MAX,
      ),
      gone === null ? '' : cell('the broker', gone, false),
    ];
  });
  const text = table(
    [
      'attack',
      'sent',
      `memory grew by (≤ ${mebi(bytesMax)})`,
      'workers lost (0)',
      'requests failed (0)',
      `new clients: longest until connected (≤ ${NEWCOMER_MS_MAX / 1000} s)`,
      '',
    ],
    rows,
  );
  return [text, ...missedText(judged)].join('\n\n');
}

function reading({ seconds, memoryBytes, others }: HostileReport): string {
  return [
    `- Each attack lasts ${seconds} s and has its own broker, with \`limits.memoryBytes\` ${mebi(memoryBytes)} and defaults\n  otherwise. Before the attack, the same figures are measured at rest for the same time.`,
    '- The attacker is a separate process with the address 127.0.0.2; it reconnects when the broker closes its connection. The other peers are one process at 127.0.0.1:\n  five SDK workers, a client that sends one of them a request every 20 ms without waiting for answers, and a new client twice a second.',
    '- Client: from the request to the reply. Worker: from the request to its arrival at the worker. Storing client: from the request\n  to the receipt. Receiver: from a request to store to the webhook that tells of its reply. A failed request counts with the time until it failed.',
    '- Attacker, broker and the others share the cores. The row without an attack shows how the figures change\n  when one core is busy; it is not judged.',
    '- The ratio has no target any more. It had one of 3, which most attacks missed: at rest a request takes a few milliseconds on idle\n  cores, so any wait for turns and for a core beside the attacker misses it, and it says how idle the machine was. What others feel is\n  the longest wait, which is judged. More cores, or smaller turns at the price of throughput, would shorten both.',
    '- Memory is the resident memory of the process, sampled every 50 ms.',
    `- ${othersText(others)}`,
    ...(!others.isBusy
      ? []
      : [
          '- **Other work kept the machine busy from before the start**: waits are too long. Run it on a quiet machine.',
        ]),
  ].join('\n');
}

function millis(value: number): string {
  return Number.isFinite(value) ? `${value.toFixed(1)} ms` : 'none';
}

function mebi(bytes: number): string {
  return `${whole(bytes / MIB)} MiB`;
}
