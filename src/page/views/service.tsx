/** A service: its state in a sentence, why it fails, its dead requests, its charts, workers and contracts. */
import type { VNode } from 'preact';

import type { Service, ServiceHistory, Worker } from '../../admin/api/node-answers.js';
import type { StoredRequest } from '../../admin/api/stored-answers.js';
import type { Page } from '../../admin/api/words.js';
import { waitingOf, WEBHOOK_SERVICE } from '../../core/service-needs.js';
import { get, withQuery } from '../api.js';
import { Chart, hasData, TimeSpan, useSpan } from '../chart.js';
import { SERVICE_CHARTS } from '../charts.js';
import { Contracts } from '../contracts.js';
import { Button, Card, Empty, Figure, Loading } from '../controls.js';
import { askPerson, order, toast } from '../dialogs.js';
import { count, line, millis, moment, NONE, perSecond, span } from '../format.js';
import { linkTo } from '../address.js';
import { LimitButtons, Limits } from '../limits.js';
import { Breaking, decoded, Name, StatePill, WorkerLink } from '../names.js';
import { usePolled } from '../poll.js';
import { RequestTable, StateCounts } from '../requests.js';
import { historyOf, type Sample, type Samples, samplesOf } from '../samples.js';
import { stateOf } from '../service-state.js';
import { LONGEST, P50, P99, WAITING } from '../services.js';
import { type Column, numeric, Table } from '../table.js';
import { TestRequest } from '../test-request.js';
import { actOnAll } from '../triage.js';

const EVERY_MS = 2000;
/** Interval of the samples of a service. */
const SAMPLE_MS = 4000;
const DEAD_EVERY_MS = 10_000;
const DEAD_SHOWN = 20;
const WORKERS_SHOWN = 200;

type Failure = ServiceHistory['failures'][number];
type FailureOfWorker = ServiceHistory['failuresByWorker'][number];

interface Loaded {
  /** Absent: the node does not know it. */
  readonly service: Service | undefined;
  readonly workers: Page<Worker>;
  readonly samples: readonly Sample[];
  readonly failures: readonly Failure[];
  readonly failuresByWorker: readonly FailureOfWorker[];
  /** Whether the node keeps samples of it. */
  readonly kept: boolean;
}

async function loaded(service: string, kept: Samples): Promise<Loaded> {
  const limit = String(WORKERS_SHOWN);
  const [services, workers, past] = await Promise.all([
    get<Page<Service>>(withQuery('/api/v1/services', { service })),
    get<Page<Worker>>(withQuery('/api/v1/workers', { service, limit })),
    historyOf(service, kept),
  ]);
  const { failures, failuresByWorker, kept: isKept } = past;
  const figures = { samples: kept.all, failures, failuresByWorker, kept: isKept };
  return { service: services.items[0], workers, ...figures };
}

export function ServiceView({ service }: { service: string }): VNode {
  const polled = usePolled(service, () => loaded(service, samplesOf(service)), EVERY_MS);
  const { answer, error, isBehind } = polled;
  const dead = answer?.service?.durable?.dead ?? 0;
  const contracts = answer?.service?.contracts ?? 0;
  const isKnown = answer === null || answer.service !== undefined || answer.failures.length > 0;
  return (
    <div class="stack">
      <Card
        title={
          <>
            <a href={linkTo('services')}>Services</a> / <Name name={service} />
          </>
        }
        isView
        error={answer === null ? null : error}
        tools={
          answer?.service === undefined ? null : (
            <>
              <PauseButton {...answer.service} isBehind={isBehind} />
              {service.startsWith('titanic.') ? null : (
                <LimitButtons {...answer.service} isBehind={isBehind} />
              )}
            </>
          )
        }
      >
        {answer === null ? (
          <Loading of={polled} />
        ) : isKnown ? (
          <Facts name={service} {...answer} />
        ) : (
          <Empty title="No such service">
            No worker is registered for it, and no request waits or is stored. A worker makes it:{' '}
            <code>majordomo worker NAME -- COMMAND</code>
          </Empty>
        )}
      </Card>
      {answer !== null && isKnown ? (
        <>
          <Failures service={service} failures={answer.failures} />
          <FailuresByWorker failures={answer.failuresByWorker} />
          {dead > 0 ? <Dead service={service} dead={dead} /> : null}
          <Charts name={service} {...answer} />
          {service === WEBHOOK_SERVICE ? null : <Workers {...answer.workers} />}
          {contracts > 0 ? <Contracts service={service} count={contracts} /> : null}
          {service === WEBHOOK_SERVICE ? null : <TestRequest service={service} />}
        </>
      ) : null}
    </div>
  );
}

function PauseButton(given: Service & { readonly isBehind: boolean }): VNode {
  const { service, paused: isPaused, isBehind } = given;
  const act = async (): Promise<void> => {
    const body = (
      <p>New requests wait, those that its workers have go on. Plain ones expire as always.</p>
    );
    const question = { title: `Pause ${decoded(service)}?`, body, confirm: 'Pause the service' };
    if (!isPaused && !(await askPerson(question))) return;
    const verb = isPaused ? 'resume' : 'pause';
    const done = await order(`/api/v1/services/${encodeURIComponent(service)}/${verb}`);
    if (done !== null) {
      toast(`Service ${isPaused ? 'resumed' : 'paused'}: ${decoded(service)}`, 'good');
    }
  };
  return <Button label={isPaused ? 'Resume' : 'Pause'} isCommand isDisabled={isBehind} act={act} />;
}

function Facts({ name, service: now, samples }: Loaded & { readonly name: string }): VNode {
  const { grade, title, text } = stateOf(now, samples);
  const plain = now?.plain ?? null;
  const clientsAway = now?.clientsAway ?? 0;
  const figures = [
    ['Idle', count(now?.workersWaiting ?? 0)],
    ['Busy', count(now?.workersBusy ?? 0)],
    ['Queued', count(now === undefined ? 0 : waitingOf(now)), WAITING],
    ['In flight', count(now?.inFlight ?? 0)],
    ...(clientsAway === 0 ? [] : [['For clients away', count(clientsAway), AWAY] as const]),
    ['Replies', perSecond(plain?.repliesPerSecond ?? null)],
    ['p50', millis(plain?.p50Ms ?? null), P50],
    ['p99', millis(plain?.p99Ms ?? null), P99],
    ['Longest', millis(plain?.maxMs ?? null), LONGEST],
  ] as const satisfies readonly (readonly [label: string, value: string, about?: string])[];
  const durable = now?.durable ?? null;
  return (
    <>
      <p class={`state ${grade}`}>
        <strong>{title}</strong>: {text}.
      </p>
      <div class="figures">
        {figures.map(([label, value, about]) => (
          <Figure key={label} label={label} value={value} about={about} />
        ))}
      </div>
      {now === undefined ? null : <Limits {...now} />}
      {durable === null ? null : <StateCounts of="Durable" counts={durable} service={name} />}
    </>
  );
}

const AWAY =
  'Requests, queued or in flight, whose clients have lost their connections and may come back for the answers';

const ENDINGS: Readonly<Record<Failure['event'], string>> = {
  'request.failed': 'failed',
  'request.expired': 'expired',
  'request.abandoned': 'given up by the broker',
  'request.outcome_unknown': 'of unknown outcome',
  'request.refused': 'refused',
  'request.dropped': 'given up by its client',
};

interface FailuresOf {
  readonly service: string;
  readonly failures: readonly Failure[];
}

/** A column of codes: each leads to the dead requests that have it, of which others may be left alone. */
const codeColumn = (service: string): Column<Failure> => ({
  head: 'Code',
  cell: ({ code, event }) =>
    code === null ? (
      line(ENDINGS[event])
    ) : (
      <a href={linkTo('durable', undefined, { service, state: 'dead', code })}>{line(code)}</a>
    ),
  by: ({ code }) => code ?? '',
});

const FAILURE_COLUMNS: readonly Column<Failure>[] = [
  numeric('Failures', (failure) => failure.count),
  {
    head: 'Last reason',
    cell: ({ text }) => <span class="reason">{line(text ?? '')}</span>,
    drop: 3,
    isBelow: true,
  },
  {
    head: 'Last seen',
    cell: ({ lastAt }) => moment(lastAt),
    by: ({ lastAt }) => lastAt,
    isLargeFirst: true,
    drop: 3,
    isBelow: true,
  },
];

function Failures({ service, failures }: FailuresOf): VNode | null {
  if (failures.length === 0) return null;
  const all = failures.reduce((sum, failure) => sum + failure.count, 0);
  const isLocked = failures.some(({ event, code }) => event === 'request.failed' && code === null);
  const locked = isLocked ? '; codes and reasons of workers need a token' : '';
  return (
    <Card title="Failures" status={`${count(all)} since the node started${locked}`}>
      <Table
        label="Failures by code"
        columns={[codeColumn(service), ...FAILURE_COLUMNS]}
        items={failures}
        rowKey={({ event, code }) => `${event} ${code ?? ''}`}
        sortedBy="Failures"
        pageRows={20}
        empty={null}
      />
    </Card>
  );
}

const BY_WORKER: readonly Column<FailureOfWorker>[] = [
  numeric('Failures', (failure) => failure.count),
  {
    head: 'Worker',
    cell: ({ worker, workerName }) => <WorkerLink worker={worker} name={workerName} />,
    by: ({ workerName, worker }) => workerName ?? worker,
  },
  { head: 'Last seen', cell: ({ lastAt }) => moment(lastAt), by: ({ lastAt }) => lastAt, drop: 4 },
];

function FailuresByWorker({ failures }: { failures: readonly FailureOfWorker[] }): VNode | null {
  if (failures.length === 0) return null;
  return (
    <Card
      title="Failures by worker"
      status="those that workers reported, of the 20 that failed last"
    >
      <Table
        label="Failures by worker"
        columns={BY_WORKER}
        items={failures}
        rowKey={({ worker }) => worker}
        sortedBy="Failures"
        empty={null}
      />
    </Card>
  );
}

/** The dead requests of one service, and the button to retry all of them. */
function Dead({ service, dead }: { service: string; dead: number }): VNode {
  const query = { service, state: 'dead', limit: String(DEAD_SHOWN) };
  const polled = usePolled(
    service,
    () => get<Page<StoredRequest>>(withQuery('/api/v1/titanic/requests', query)),
    DEAD_EVERY_MS,
  );
  const { answer, error } = polled;
  const retry = (): Promise<unknown> => actOnAll('retry', { service, state: 'dead' }, dead);
  return (
    <Card
      title="Dead requests"
      status="newest first"
      error={answer === null ? null : error}
      tools={
        <>
          <a href={linkTo('durable', undefined, { service, state: 'dead' })}>All</a>
          <Button label="Retry all dead" style="button small" isCommand act={retry} />
        </>
      }
    >
      {answer === null ? (
        <Loading of={polled} />
      ) : (
        <RequestTable
          label="Dead requests"
          items={answer.items}
          isOfOne
          empty={<Empty title="No dead requests">They were retried, or they have expired.</Empty>}
        />
      )}
    </Card>
  );
}

function Charts({ name, samples: now, kept }: Loaded & { readonly name: string }): VNode {
  const { samples, everyMs } = useSpan(name, now, SAMPLE_MS);
  const shown = SERVICE_CHARTS.filter((options) => hasData(options, samples));
  if (!kept) {
    return (
      <p class="quiet">
        No charts: this service has no label in the metrics at present. See metrics.services.
      </p>
    );
  }
  return (
    <>
      <TimeSpan samples={samples} />
      {shown.length === 0 ? <p class="quiet">No charts: nothing has happened yet.</p> : null}
      <div class="grid wide">
        {shown.map((options) => (
          <Chart key={options.title} {...options} samples={samples} everyMs={everyMs} />
        ))}
      </div>
    </>
  );
}

const WORKER_COLUMNS: readonly Column<Worker>[] = [
  {
    head: 'Name',
    cell: ({ number, name }) => <WorkerLink worker={String(number)} name={name} />,
    by: ({ name }) => name ?? '',
  },
  { head: 'State', cell: ({ state }) => <StatePill state={state} />, by: ({ state }) => state },
  numeric('In flight', ({ inFlight }) => inFlight),
  numeric('Credit', ({ credit }) => credit, count, { drop: 3 }),
  numeric('Registered for', ({ sinceMs }) => sinceMs, span, { drop: 3, isBelow: true }),
  { head: 'Protocol', cell: ({ version }) => version, drop: 1 },
  { head: 'Key', cell: ({ key }) => <Breaking text={key ?? NONE} />, drop: 2 },
  {
    head: 'Address',
    cell: ({ address }) => <Breaking text={address ?? NONE} />,
    by: ({ address }) => address ?? '',
    drop: 2,
  },
];

function Workers({ items, next }: Page<Worker>): VNode {
  return (
    <Card title="Workers" status={next === null ? '' : `the first ${WORKERS_SHOWN}`}>
      <Table
        label="Workers"
        columns={WORKER_COLUMNS}
        items={items}
        rowKey={({ name }, index) => `${name ?? ''} ${index}`}
        sortedBy="Registered for"
        pageRows={50}
        empty={
          <Empty title="No workers">Requests for this service wait until a worker registers.</Empty>
        }
      />
    </Card>
  );
}
