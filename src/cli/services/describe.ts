/** `majordomo services describe`: what a service takes and answers, as its workers announced it. */
import type { Command } from 'commander';

import { type ComparedRow, comparedContracts } from '../../core/schema-rows.js';
import { type Facts, listIn } from '../common/facts.js';
import { tell } from '../common/formats.js';
import { addSubcommand, checkService, examples } from '../common/options.js';
import { counted, printable } from '../common/output.js';
import { type Column, table } from '../common/table.js';
import { Broker } from '../connection/broker.js';
import { addLookOptions, type AskOptions, WHERE_TEXT } from '../connection/options.js';

const EXAMPLES = [
  ['majordomo services describe pay', 'its fields, with what is allowed in each'],
  ["majordomo services describe pay --json | jq '.contracts[0].contract.input'", 'a JSON Schema'],
] as const;

const AFTER = `${examples(EXAMPLES)}
Workers announce the JSON Schemas and the version of their contract when they register. If their contracts
differ, one column shows each, and a * is before each line that differs. "(1)", "(2)" are choices; "[]" stands for
each item of a list. --json has everything, also what the lines leave out.
Exit status 1 if no worker of the service announced a contract.
${WHERE_TEXT}`;

export function defineDescribe(parent: Command): void {
  const about = 'show what a service takes and answers, as its workers announced it';
  const command = addSubcommand(parent, 'describe', about).argument('<service>', 'its name');
  addLookOptions(command)
    .addHelpText('after', AFTER)
    .action(async (service: string, options: AskOptions) => {
      checkService(service);
      await new Broker(options).state(async (broker) => {
        const facts = await broker.contract(service);
        await tell(options.output, facts, { text: described });
      });
    });
}

function described(facts: Facts, width: number): string {
  const contracts = listIn(facts['contracts']);
  const rows = comparedContracts(contracts.map(({ contract }) => contract));
  const many = contracts.length > 1;
  const differing: Column<ComparedRow> = { head: '', cell: ({ differs }) => (differs ? '*' : ' ') };
  const columns: readonly Column<ComparedRow>[] = [
    ...(many ? [differing] : []),
    { head: 'PART', cell: ({ name }) => printable(name) },
    ...contracts.map((_, index) => ({
      head: many ? `CONTRACT ${index + 1}` : 'CONTRACT',
      cell: ({ texts }: ComparedRow) => printable(texts[index] ?? '-'),
      ...(many && index === contracts.length - 1 ? { cut: 20 } : {}),
    })),
  ];
  const who = contracts.map(({ workers, names }, index) => {
    const label = many ? `contract ${index + 1}: ` : '';
    return `  ${label}${workersText(workers)}${namesText(names, workers)}\n`;
  });
  const rest = [
    [facts['workersWithout'], 'announced none'],
    [facts['workersNotKept'], 'announced others, which the broker did not keep'],
  ] as const;
  const others = rest
    .filter(([count]) => Number(count) > 0)
    .map(([count, what]) => `  ${workersText(count)} ${what}\n`);
  const state = many ? `${contracts.length} contracts, which differ` : '1 contract';
  const head = `${printable(facts['service'])}: ${state}\n${[...who, ...others].join('')}`;
  return `${head}\n${table(columns, rows, many ? width : Infinity)}`;
}

function workersText(count: unknown): string {
  return typeof count === 'number' ? counted(count, 'worker') : '-';
}

function namesText(names: unknown, workers: unknown): string {
  if (!Array.isArray(names) || names.length === 0) return '';
  const more = Number(workers) > names.length ? ', …' : '';
  return ` (${names.map(printable).join(', ')}${more})`;
}
