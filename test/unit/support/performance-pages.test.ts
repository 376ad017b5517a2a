import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type DurableReport, renderDurable } from '../../../bench/durable/report.js';
import { renderHostile } from '../../../bench/hostile/report.js';
import { type HttpReport, renderHttp } from '../../../bench/http/report.js';
import { commitFact } from '../../../bench/machine-facts.js';
import { missedText } from '../../../bench/markdown.js';
import type { Figures, Verdict } from '../../../bench/measure.js';
import { renderReport } from '../../../bench/report.js';
import { ROWS } from '../../../bench/rows.js';
import { itWithTool } from '../../support/tools.js';

const QUIET = { used: 0, kernel: 0, stolen: 0, isBusy: false };
const BUSY = { ...QUIET, isBusy: true };
const WHY = 'Because of this; that would meet it.';

/** The lines that say why a target was missed. */
function reasons(page: string): string[] {
  return page.split('\n').filter((line) => line.startsWith('- Missed: '));
}

/** The tables with a missed target, and no reason below. */
function unexplained(page: string): string[] {
  const parts = page.split(/\n{2,}(?!- Missed: )/);
  return parts.filter((part) => part.includes('**missed**') && reasons(part).length === 0);
}

describe('why a target was missed', () => {
  it('stands below its table, once for all with the same reason', () => {
    expect(
      missedText([
        { about: 'one', isMet: false, why: WHY },
        { about: 'two', isMet: true, why: WHY },
        { about: 'three', isMet: false, why: WHY },
      ]),
    ).toEqual([`- Missed: one; three. ${WHY}`]);
    expect(missedText([{ about: 'one', isMet: true, why: undefined }])).toEqual([]);
  });

  it('is not passed over where nobody has said it', () => {
    expect(missedText([{ about: 'one', isMet: false, why: undefined }])).toEqual([
      expect.stringMatching(/^- Missed: one\. \*\*nobody has said why yet\.\*\* Before a release/),
    ]);
  });

  it('is told of brokers by the row, and of memory', () => {
    const row = ROWS.find(({ title }) => title === '32 workers, credit 1, 100 outstanding, 16 B');
    if (row === undefined) throw new Error('no such row');
    const figures: Figures = {
      title: 'Majordomo',
      ...{ requestsPerSecond: 1, cpuUs: 1, loadCpuUs: 1, busy: 1, loadBusy: 1 },
      ...{ p50Us: 1, p99Us: 1, p999Us: 1 },
    };
    const verdicts = row.targets.map(({ against, why }): Verdict => ({
      against,
      ...{ quantity: 'cpu', ratio: { median: 9, low: 9, high: 9 }, bound: 1, met: false, why },
    }));
    const page = renderReport({
      date: '2026-11-30',
      ...{ machine: [commitFact()], versions: [], absent: [], failed: [] },
      ...{ rounds: 1, seconds: 1, pinned: '', others: '' },
      rows: [{ row, figures: [figures], verdicts }],
      memory: { idleBytes: 1, connections: 5000, bytesPerConnection: 9000 },
    });
    expect(reasons(page)).toEqual([
      expect.stringMatching(
        /^- Missed: CPU per request, to C broker on libzmq; CPU per request, to NATS request-reply\. With credit 1 /,
      ),
      expect.stringMatching(/to Majordomo, `transport: libzmq`\. \*\*nobody has said why yet/),
      expect.stringMatching(/^- Missed: for each of 5,000 more idle connections\. Node makes /),
    ]);
    expect(unexplained(page)).toEqual([]);
    expect(unexplained(page.replaceAll('- Missed: ', '- '))).toHaveLength(2);
    expect(page).toMatch(/- measured 2026-11-30\n- commit /);
    expect(page).toMatch(
      /belongs to this project, and leaves out what the Guide’s own `mdbroker` does/,
    );
  });

  it.each([
    ['below the targets of durable requests', QUIET, [`- Missed: redis. ${WHY}`]],
    ['nowhere if the machine was busy, so that nothing is judged', BUSY, []],
  ])('stands %s', (_, others, lines) => {
    const latencies = { p50: 1, p99: 5 };
    const report: DurableReport = {
      ...{ facts: [], absent: [], rounds: 1, seconds: 1, openRate: 5000, rates: [], lives: [] },
      verdicts: [
        { about: 'redis', ratios: [1, 1.1, 1], bound: 1.15, isMost: false, why: WHY },
        { about: 'p50', ratios: [3], bound: 3.3, isMost: true, why: undefined },
      ],
      ...{ open: latencies, bare: latencies, others },
      slow: { quiet: latencies, slow: latencies, receipts: 1 },
    };
    const page = renderDurable(report);
    expect(reasons(page)).toEqual(lines);
    expect(page).toContain('give, and so is that of the bare append: this disk is not quiet.');
  });

  it.each([
    [QUIET, [`- Missed: p50. ${WHY}`]],
    [BUSY, []],
  ])('stands below the targets of HTTP, of those that are judged', (others, lines) => {
    const report: HttpReport = {
      ...{ facts: [], rounds: 1, seconds: 1, bodyBytes: 1, lanes: [], held: [], others },
      verdicts: [
        { about: 'p50', ratio: { median: 3, low: 3, high: 3 }, bound: 2, why: WHY },
        { about: 'memory', ratio: null, bound: 2, why: WHY },
      ],
    };
    expect(reasons(renderHttp(report))).toEqual(lines);
  });

  it('is told of attacks, and nothing of the control; their ratio has no target', () => {
    const waits = (ms: number) => ({
      ...{ client: [ms], worker: [ms], receipt: [ms], receiver: [ms] },
      ...{ newcomer: [1], failures: [] },
    });
    const scene = { name: 'x', unit: '', attack: 'computing', count: 1 } as const;
    const measured = {
      ...{ rest: waits(1), attacked: waits(100), sent: 1, workersLost: 0, gone: null },
      grownBytes: 2 ** 30,
    };
    const page = renderHostile({
      ...{ facts: [], seconds: 1, memoryBytes: 1, others: QUIET },
      measured: [
        { ...measured, scene: { ...scene, title: 'an attack', why: WHY } },
        { ...measured, scene: { ...scene, title: 'none', isControl: true } },
      ],
    });
    expect(reasons(page)).toEqual([`- Missed: memory: an attack. ${WHY}`]);
    expect(page).toMatch(/\| an attack \| client +\| 1\.0 ms, 100\.0 ms +\| 100\.00× +\|/);
    expect(page).toContain('The ratio has no target any more.');
  });

  it('is on each page whose figures name the commit, below each table with a missed target', () => {
    for (const name of readdirSync('docs').filter((each) => /^performance.*\.md$/.test(each))) {
      const page = readFileSync(join('docs', name), 'utf8');
      if (!page.includes('\n- commit ')) continue;
      expect({ name, tables: unexplained(page) }).toEqual({ name, tables: [] });
      expect(page).not.toContain('nobody has said why yet');
    }
  });
});

describe('the commit that was measured', () => {
  const directory = mkdtempSync(join(tmpdir(), 'majordomo-commit-'));
  const git = (...args: string[]): void => {
    const who = ['-c', 'user.name=x', '-c', 'user.email=x@localhost'];
    execFileSync('git', [...who, ...args], { cwd: directory, stdio: 'ignore' });
  };

  afterAll(() => rmSync(directory, { recursive: true }));

  itWithTool('git', 'is named, with what is in none; documents do not count', () => {
    expect(commitFact(directory)).toBe('commit unknown: not a clone');
    mkdirSync(join(directory, 'docs'));
    const write = (text: string, ...path: string[]): void => {
      writeFileSync(join(directory, ...path), text);
    };
    write('1', 'code');
    write('1', 'docs', 'page');
    git('init');
    git('add', '.');
    git('commit', '-m', 'one');
    expect(commitFact(directory)).toMatch(/^commit [0-9a-f]{10}$/);
    write('2', 'docs', 'page');
    expect(commitFact(directory)).toMatch(/^commit [0-9a-f]{10}$/);
    write('2', 'code');
    expect(commitFact(directory)).toMatch(
      /^commit [0-9a-f]{10}, with changes that are in no commit$/,
    );
  });
});
