/**
 * How much of the machine's CPU time other processes used while a benchmark ran: figures of a busy
 * machine are not written into documents.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';

/** Above this share of all cores, the machine was busy with something else. */
const OTHERS_MAX = 0.05;
/** In the flags of /proc/PID/stat: a thread of the kernel (PF_KTHREAD of Linux). */
const KERNEL_THREAD = 0x0020_0000;

/** Clock ticks since the machine started. */
interface Ticks {
  /** In processes: user and system time. */
  readonly used: number;
  /** That the hypervisor gave to others. */
  readonly stolen: number;
  /** Of this process and of its children that have ended. */
  readonly own: number;
  /** Of each thread of the kernel, by its id: they write to disk what the measured processes store. */
  readonly kernel: ReadonlyMap<string, number>;
  readonly all: number;
}

export interface Others {
  /** Shares of the CPU time of all cores. */
  readonly used: number;
  readonly kernel: number;
  readonly stolen: number;
  readonly isBusy: boolean;
}

/** The fields of a process after its name, which is in parentheses and may contain anything. */
function fieldsOf(pid: string): readonly string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function sum(ticks: Iterable<number | string>): number {
  return [...ticks].reduce<number>((total, each) => total + Number(each), 0);
}

function kernelThreads(): Map<string, number> {
  const threads = new Map<string, number>();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const fields = fieldsOf(pid);
      if ((Number(fields[6]) & KERNEL_THREAD) !== 0) threads.set(pid, sum(fields.slice(11, 13)));
    } catch {
      // It has ended.
    }
  }
  return threads;
}

function now(): Ticks {
  const cpu = /^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'latin1'))?.[1] ?? '';
  // user, nice, system, idle, iowait, irq, softirq, steal
  const fields = cpu.split(' ').slice(0, 8).map(Number);
  const [user = 0, nice = 0, system = 0, , , , , stolen = 0] = fields;
  const own = sum(fieldsOf('self').slice(11, 15));
  return { used: user + nice + system, stolen, own, kernel: kernelThreads(), all: sum(fields) };
}

/** Starts to count. The function returned is to be called when all child processes have ended. */
export function countOthers(): () => Others {
  const before = now();
  return () => {
    const after = now();
    const all = Math.max(1, after.all - before.all);
    const ofKernel = [...after.kernel].map(([id, ticks]) => ticks - (before.kernel.get(id) ?? 0));
    const kernel = sum(ofKernel) / all;
    const used = (after.used - before.used - (after.own - before.own)) / all - kernel;
    const stolen = (after.stolen - before.stolen) / all;
    return { used, kernel, stolen, isBusy: used + stolen > OTHERS_MAX };
  };
}

/** One sentence for the document. */
export function othersText({ used, kernel, stolen }: Others): string {
  const percent = (share: number): string => `${(Math.max(0, share) * 100).toFixed(1)} %`;
  const cores = cpus().length;
  return `Of the CPU time of all ${cores} cores, other processes used ${percent(used)} during the run, the kernel's threads ${percent(kernel)}, and the hypervisor took ${percent(stolen)}.`;
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
