/**
 * A Jest reporter that ends a run with the number of cases that each suite (the top folder of
 * test/) ran, and names every case that was skipped because a tool is absent
 * (test/support/tools.ts). It writes the failed files for scripts/test.mjs.
 */
import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';

/** The suites in the order of a run, fastest first; others follow by name. */
const ORDER = [
  'unit',
  'machine',
  'simulation',
  'exploration',
  'integration',
  'smoke',
  'disk',
  'process',
  'interop',
  'hostile',
  'pair',
  'postgres',
  'browser',
  'shipped',
];

/** What `itWithTool` appends to the title of a case that cannot run here. */
const NEEDS = /\[needs .+\]$/;

const COLUMNS = ['cases', 'passed', 'failed', 'skipped'];

function suiteOf(file) {
  const parts = file.split(/[\\/]/);
  return parts[parts.lastIndexOf('test') + 1] ?? basename(file);
}

function place(suite) {
  const index = ORDER.indexOf(suite);
  return index === -1 ? ORDER.length : index;
}

/** @returns a map from a suite's name to its counts, and the titles of cases whose tool is absent */
function count(testResults) {
  const suites = new Map();
  const absent = [];
  const broken = [];
  for (const file of testResults) {
    const name = suiteOf(file.testFilePath);
    const suite = suites.get(name) ?? { cases: 0, passed: 0, failed: 0, skipped: 0 };
    suites.set(name, suite);
    if (file.testExecError !== undefined && file.testExecError !== null) {
      broken.push(file.testFilePath);
    }
    for (const { status, fullName } of file.testResults) {
      suite.cases++;
      if (status === 'passed' || status === 'failed') suite[status]++;
      else suite.skipped++;
      if (status === 'pending' && NEEDS.test(fullName)) absent.push(`${name}: ${fullName}`);
    }
  }
  return { suites, absent, broken };
}

function row(name, cells) {
  return `${name.padEnd(14)}${cells.map((cell) => String(cell).padStart(9)).join('')}`;
}

export function summary(testResults) {
  const { suites, absent, broken } = count(testResults);
  const names = [...suites.keys()].sort((a, b) => place(a) - place(b) || a.localeCompare(b));
  const total = { cases: 0, passed: 0, failed: 0, skipped: 0 };
  const lines = ['', row('suite', COLUMNS)];
  for (const name of names) {
    const suite = suites.get(name);
    for (const column of COLUMNS) total[column] += suite[column];
    lines.push(
      row(
        name,
        COLUMNS.map((column) => suite[column]),
      ),
    );
  }
  lines.push(
    row(
      'all',
      COLUMNS.map((column) => total[column]),
    ),
  );
  if (absent.length > 0) {
    lines.push('', 'Skipped, because this machine lacks a tool (with CI=true that is a failure):');
    for (const title of absent) lines.push(`  ${title}`);
  }
  if (broken.length > 0) {
    lines.push('', 'Did not run at all (their cases are in no count above):');
    for (const file of broken) lines.push(`  ${file}`);
  }
  return lines.join('\n');
}

/** `{file, cases: [{title, message}]}` for each file that failed. */
function failures(testResults) {
  return testResults
    .filter(({ numFailingTests, testExecError }) => numFailingTests > 0 || testExecError)
    .map(({ testFilePath, testResults: cases, failureMessage }) => {
      const failed = cases
        .filter(({ status }) => status === 'failed')
        .map(({ fullName, failureMessages }) => ({
          title: fullName,
          message: failureMessages.join('\n'),
        }));
      const whole = { title: '(the whole file)', message: failureMessage };
      return { file: testFilePath, cases: failed.length > 0 ? failed : [whole] };
    });
}

export default class SuitesReporter {
  onRunComplete(_contexts, results) {
    const file = process.env.MAJORDOMO_FAILED;
    if (file) writeFileSync(file, JSON.stringify(failures(results.testResults)));
    process.stderr.write(`${summary(results.testResults)}\n`);
  }
}
