/** A stored request: its history step by step, and the operator commands. */
import type { ComponentChildren, VNode } from 'preact';

import type { RequestHistory, WorkerFailure } from '../../admin/api/stored-answers.js';
import { get, messageOf, statusOf } from '../api.js';
import { Bodies } from '../bodies.js';
import { Button, Card, Copy, Empty, Facts, Loading } from '../controls.js';
import { askPerson, order, toast } from '../dialogs.js';
import { bytes, line, lines, millis, moment, span } from '../format.js';
import { linkTo } from '../address.js';
import { decoded, ServiceLink, WorkerLink } from '../names.js';
import { ageOf, isElsewhere } from '../node.js';
import { usePolled } from '../poll.js';
import { phaseOf, RequestState } from '../requests.js';
import { isAllowed } from '../triage.js';

const EVERY_MS = 3000;

interface Step {
  readonly at: string | null;
  readonly grade: string;
  readonly title: string;
  readonly more?: ComponentChildren;
}

/** The failure that a worker reported, with invisible characters replaced. */
function Failure({ kind, code, text, detail }: WorkerFailure): VNode {
  return (
    <>
      <code>{line(code)}</code>
      {` ${line(text)}${kind === 'final' ? ' Final: the broker does not retry it.' : ''}`}
      {detail.map(({ encoding, data }, index) => (
        <pre key={index} class="detail">
          {encoding === 'base64' ? `(not text; base64) ${data}` : lines(data)}
        </pre>
      ))}
    </>
  );
}

/** Who has a request, or had it. */
interface Whose {
  readonly worker: string;
  readonly workerName: string | null;
  readonly workerAddress: string | null;
}

function workerOf({ worker, workerName, workerAddress }: Whose): string {
  const name = workerName === null ? '' : ` ${decoded(workerName)}`;
  return `worker ${worker}${name}${workerAddress === null ? '' : ` at ${workerAddress}`}`;
}

/** The deliveries that ended, and what operators did between them. */
function pastSteps({ deliveries, attemptsEver, generation }: RequestHistory): Step[] {
  const steps = deliveries.map((entry): Step => {
    const { worker, startedAt, endedAt, reason, failure } = entry;
    if (worker === '') return { at: endedAt, grade: 'quiet', title: line(reason ?? 'Retried') };
    const after = ` after ${millis(Date.parse(endedAt) - Date.parse(startedAt))}`;
    const more =
      failure === null ? (
        `${line(reason ?? '')}${after}`
      ) : (
        <>
          {`Failed${after}: `}
          <Failure {...failure} />
        </>
      );
    return { at: startedAt, grade: 'warn', title: `Delivered to ${workerOf(entry)}`, more };
  });
  const hidden = attemptsEver + generation - deliveries.length;
  if (hidden > 0) {
    const title = hidden === 1 ? '1 earlier entry' : `${hidden} earlier entries`;
    steps.unshift({ at: null, grade: 'quiet', title, more: 'only the latest are kept' });
  }
  return steps;
}

function stepsOf(history: RequestHistory): Step[] {
  const { service: _service, acceptedAt, bodyBytes, delivery, reply, death, waiting } = history;
  const steps: Step[] = [
    {
      at: acceptedAt,
      grade: 'good',
      title: 'Accepted',
      more: `${bytes(bodyBytes)} on disk, frames with their lengths`,
    },
    ...pastSteps(history),
  ];
  if (delivery !== null) {
    const title = `At ${workerOf(delivery)} now`;
    const more = (
      <>
        {`for ${span(ageOf(delivery.startedAt))}, held by `}
        <WorkerLink worker={delivery.worker} name={delivery.workerName} />
      </>
    );
    steps.push({ at: delivery.startedAt, grade: 'info', title, more });
  }
  if (reply !== null) {
    const title = reply.worker === '' ? 'Replied' : `Replied by ${workerOf(reply)}`;
    const more = `${bytes(reply.bytes)}, kept until the client closes it`;
    steps.push({ at: reply.repliedAt, grade: 'good', title, more });
  }
  if (death !== null) {
    steps.push({ at: death.diedAt, grade: 'bad', title: 'Dead', more: line(death.reason ?? '') });
  }
  if (waiting !== null) {
    const { text, until, since: unserved } = waiting;
    const before = until === null ? '' : `until ${moment(until)}: `;
    const after = unserved === null ? '' : `, since ${moment(unserved)}`;
    const more = before + line(text) + after;
    steps.push({ at: null, grade: 'quiet', title: 'Waiting', more });
  }
  return steps;
}

function Timeline({ history }: { history: RequestHistory }): VNode {
  return (
    <ol class="timeline" aria-label="History">
      {stepsOf(history).map(({ at, grade, title, more }, index) => (
        <li key={index} class={grade}>
          {at === null ? <span class="no-time" /> : <time dateTime={at}>{moment(at)}</time>}
          <strong>{title}</strong>
          <span class="step">{more}</span>
        </li>
      ))}
    </ol>
  );
}

function Properties(history: RequestHistory): VNode {
  const { service, attempts, maxAttempts, priority, hasKey, expiresAt, owner, group } = history;
  const rows: readonly (readonly [string, ComponentChildren])[] = [
    ['Service', <ServiceLink service={service} />],
    ['Failed attempts', `${attempts} of ${maxAttempts}`],
    ['Priority', priority],
    ['Idempotency key', hasKey ? 'yes' : 'no'],
    ...(group === null ? [] : [['Group', group] as const]),
    ...(owner === null ? [] : [['Stored by', line(owner)] as const]),
    ['Kept until', moment(expiresAt)],
  ];
  return <Facts rows={rows} />;
}

interface ActionsOf {
  /** The whole uuid, which the API shows only to holders of a token. */
  readonly uuid: string;
  /** The request as it was loaded last. */
  readonly now: RequestHistory;
  readonly isBehind: boolean;
}

/** The commands that the state of the request allows. */
function Actions({ uuid, now, isBehind }: ActionsOf): VNode {
  const { state } = now;
  const named = `request …${uuid.slice(-8)} for ${decoded(now.service)}`;
  const isDisabled = isElsewhere() || isBehind;
  const give = async (what: string, said: string): Promise<void> => {
    const path = `/api/v1/titanic/requests/${encodeURIComponent(uuid)}/${what}`;
    if ((await order(path)) !== null) toast(`${said} (${named})`, 'good');
  };
  const retry = (): Promise<void> =>
    give('retry', 'The request is pending again, with its attempt count reset.');
  const run = (): Promise<void> => give('run', 'The request is due now.');
  const cancel = async (): Promise<void> => {
    const body = (
      <p>The broker deletes the request. A client that asks for it gets 400 (unknown request).</p>
    );
    const confirm = 'Cancel the request';
    const title = `Cancel the ${named}?`;
    if (!(await askPerson({ title, body, confirm, isDangerous: true }))) return;
    await give('cancel', 'Request cancelled.');
  };
  return (
    <div class="actions">
      {state === 'pending' && phaseOf(now) === 'delayed' && now.kind === 'request' ? (
        <Button label="Run now" isCommand isDisabled={isDisabled} act={run} />
      ) : null}
      {isAllowed('retry', state) ? (
        <Button
          label="Retry"
          style="button primary"
          isCommand
          isDisabled={isDisabled}
          act={retry}
        />
      ) : null}
      {isAllowed('cancel', state) ? (
        <Button
          label="Cancel"
          style="button danger"
          isCommand
          isDisabled={isDisabled}
          act={cancel}
        />
      ) : null}
    </div>
  );
}

export function RequestView({ uuid }: { uuid: string }): VNode {
  const path = `/api/v1/titanic/requests/${encodeURIComponent(uuid)}`;
  const polled = usePolled(uuid, () => get<RequestHistory>(path), EVERY_MS);
  const { answer, error, isBehind } = polled;
  return (
    <Card
      title={
        <>
          <a href={linkTo('durable')}>Durable</a> / <span class="uuid">{uuid}</span>
        </>
      }
      isView
      tools={<Copy text={uuid} title="Copy UUID" />}
    >
      <div aria-live="polite">
        {statusOf(error) > 0 ? (
          <NotShown error={error} />
        ) : answer === null ? (
          <Loading of={polled} />
        ) : (
          <>
            <div class="bar">
              <RequestState {...answer} />
              <Actions uuid={uuid} now={answer} isBehind={isBehind} />
            </div>
            <Properties {...answer} />
            <Timeline history={answer} />
            {/* Open bodies stay open, unless there is a reply to add. */}
            {answer.showsBodies ? <Bodies key={String(answer.reply !== null)} uuid={uuid} /> : null}
          </>
        )}
      </div>
    </Card>
  );
}

function NotShown({ error }: { error: unknown }): VNode {
  return statusOf(error) === 404 ? (
    <Empty title="Not found">There is no such request, or it was closed, or it has expired.</Empty>
  ) : (
    <Empty title="The request cannot be shown">{messageOf(error)}</Empty>
  );
}
