/**
 * How much of the machine's CPU time other processes used while a benchmark ran: figures of a busy
 * machine are not written into documents.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';

/** Above this share of all cores, the machine was busy with something else. */
const OTHERS_MAX = 0.05;

/** Clock ticks since the machine started. */
interface Ticks {
  /** In processes: user and system time. */
  readonly used: number;
  /** That the hypervisor gave to others. */
  readonly stolen: number;
  /** Of this process and of its children that have ended. */
  readonly own: number;
  readonly all: number;
}

export interface Others {
  /** Shares of the CPU time of all cores. */
  readonly used: number;
  readonly stolen: number;
  readonly isBusy: boolean;
}

function now(): Ticks {
  const cpu = /^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'latin1'))?.[1] ?? '';
  // user, nice, system, idle, iowait, irq, softirq, steal
  const fields = cpu.split(' ').slice(0, 8).map(Number);
  const [user = 0, nice = 0, system = 0, , , , , stolen = 0] = fields;
  const stat = readFileSync('/proc/self/stat', 'latin1');
  // The second field is a name in parentheses, which may contain anything.
  const after = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const own = after.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0);
  const all = fields.reduce((sum, ticks) => sum + ticks, 0);
  return { used: user + nice + system, stolen, own, all };
}

/** Starts to count. The function returned is to be called when all child processes have ended. */
export function countOthers(): () => Others {
  const before = now();
  return () => {
    const after = now();
    const all = Math.max(1, after.all - before.all);
    const used = (after.used - before.used - (after.own - before.own)) / all;
    const stolen = (after.stolen - before.stolen) / all;
    return { used, stolen, isBusy: used + stolen > OTHERS_MAX };
  };
}

/** One sentence for the document. */
export function othersText({ used, stolen }: Others): string {
  const percent = (share: number): string => `${(Math.max(0, share) * 100).toFixed(1)} %`;
  const cores = cpus().length;
  return `Of the CPU time of all ${cores} cores, other processes used ${percent(used)} during the run, and the hypervisor took ${percent(stolen)}.`;
}

/**
 * Prints a report, and writes it to its document, unless the machine was busy: then it says so, and
 * the process will end with 1.
 * @param document `null`: only print
 */
export function publish(report: string, document: string | null, others: Others): void {
  process.stdout.write(report);
  if (document !== null) writeUnlessBusy(document, () => report, others);
}

/** Writes a document anew, or for the first time, unless the machine was busy. */
export function writeUnlessBusy(
  document: string,
  written: (old: string) => string,
  others: Others,
): void {
  if (!others.isBusy) {
    writeFileSync(document, written(existsSync(document) ? readFileSync(document, 'utf8') : ''));
    return;
  }
  process.exitCode = 1;
  process.stderr.write(
    `${document} was not written, because the machine was busy with something else: at most ${OTHERS_MAX * 100} % are allowed. ${othersText(others)}\n`,
  );
}
