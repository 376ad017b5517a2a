/** What a service takes and answers, as its workers announced it; contracts that differ side by side. */
import type { VNode } from 'preact';

import type { Contracts as Told } from '../admin/api/node-answers.js';
import { type ComparedRow, comparedContracts } from '../core/schema-rows.js';
import { get } from './api.js';
import { Card, Facts, Loading } from './controls.js';
import { line, NONE, plural } from './format.js';
import { Name } from './names.js';
import { usePolled } from './poll.js';
import { type Column, Table } from './table.js';

const EVERY_MS = 30_000;
const PAGE_ROWS = 50;

interface Loaded {
  readonly told: Told;
  readonly rows: readonly ComparedRow[];
}

async function loaded(service: string): Promise<Loaded> {
  const told = await get<Told>(`/api/v1/services/${encodeURIComponent(service)}/contract`);
  return { told, rows: comparedContracts(told.contracts.map(({ contract }) => contract)) };
}

/** @param count how many there are: if it changes, they are loaded anew */
export function Contracts({ service, count }: { service: string; count: number }): VNode {
  const polled = usePolled(`${service} ${count}`, () => loaded(service), EVERY_MS);
  const { answer, error } = polled;
  const many = (answer?.told.contracts.length ?? 0) > 1;
  const title = many ? 'Contracts' : 'Contract';
  return (
    <Card title={title} status={many ? 'they differ' : ''} error={error}>
      {answer === null ? <Loading of={polled} /> : <Compared {...answer} />}
    </Card>
  );
}

function Compared({ told, rows }: Loaded): VNode {
  const { contracts, workersWithout, workersNotKept } = told;
  const titles = contracts.map((_, index) =>
    contracts.length > 1 ? `Contract ${index + 1}` : 'Contract',
  );
  const columns: readonly Column<ComparedRow>[] = [
    {
      head: 'Part',
      cell: ({ name, differs }) => (
        <>
          <span class="reason">{line(name)}</span>{' '}
          {differs ? <span class="pill warn">differs</span> : null}
        </>
      ),
    },
    ...titles.map((head, index) => ({
      head,
      cell: ({ texts }: ComparedRow) => <span class="reason">{line(texts[index] ?? NONE)}</span>,
    })),
  ];
  const others = [
    ['No contract', workersWithout],
    ['Not kept', workersNotKept],
  ] as const;
  return (
    <>
      <Facts
        rows={[
          ...contracts.map((each, index) => [titles[index] ?? '', <About {...each} />] as const),
          ...others
            .filter(([, workers]) => workers > 0)
            .map(([what, workers]) => [what, plural(workers, 'worker')] as const),
        ]}
      />
      <Table
        label="Parts of the contract"
        columns={columns}
        items={rows}
        rowKey={({ name }) => name}
        isFixed
        pageRows={PAGE_ROWS}
        empty={null}
      />
    </>
  );
}

/** The version of a contract, and who announced it. */
function About({ contract, workers, names }: Told['contracts'][number]): VNode {
  const { version } = contract;
  return (
    <>
      {version === undefined ? '' : `version ${line(version)}, `}
      {plural(workers, 'worker')}
      {names.map((name, index) => (
        <span key={index}>
          {index === 0 ? ': ' : ', '}
          <Name name={name} />
        </span>
      ))}
      {names.length > 0 && workers > names.length ? ', …' : ''}
    </>
  );
}
