/** The commit, the machine and the cores of a measurement. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';

import type { Pins } from './measure.js';

const GIB = 2 ** 30;

/** The commit that is measured. Documents may differ from it: their figures are written one page after the other. */
export function commitFact(directory = process.cwd()): string {
  const git = (...args: string[]): string => {
    const { stdout, status } = spawnSync('git', args, { cwd: directory, encoding: 'utf8' });
    return status === 0 ? stdout.trim() : '';
  };
  const commit = git('rev-parse', '--short=10', 'HEAD');
  if (commit === '') return 'commit unknown: not a clone';
  const changed = git('status', '--porcelain', '--untracked-files=no', '--', '.', ':!docs');
  return `commit ${commit}${changed === '' ? '' : ', with changes that are in no commit'}`;
}

/** One line for each fact. */
export function machineFacts(): readonly string[] {
  const list = cpus();
  return [
    commitFact(),
    `${list.length} cores, ${list[0]?.model.trim() ?? 'unknown'}`,
    `${(totalmem() / GIB).toFixed(1)} GiB of memory`,
    `${type()} ${release()}`,
    `Node.js ${process.versions.node}`,
    spawnSync('gcc', ['--version'], { encoding: 'utf8' }).stdout.split('\n')[0] ?? 'gcc',
  ];
}

/** The generator gets the last core that this process may use, the brokers the others. */
export function pins(): Pins | null {
  if (spawnSync('taskset', ['--version']).status !== 0) return null;
  const status = readFileSync('/proc/self/status', 'latin1');
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? '';
  const allowed = list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, at) => first + at);
  });
  const load = allowed.at(-1);
  return load === undefined || allowed.length < 2 ? null : { broker: allowed.slice(0, -1), load };
}
