/** One stored request: its history step by step, and the operator commands. */
import type { RequestHistory, WorkerFailure } from '../../admin/api/stored-answers.js';
import { get, messageOf, statusOf } from '../api.js';
import { askPerson, attempt, order, toast } from '../dialogs.js';
import { button, type Child, el } from '../dom.js';
import { bytes, line, lines, millis, moment, since, span } from '../format.js';
import { storedBodies } from '../stored-bodies.js';
import { empty, serviceLink, statePill } from '../status-line.js';
import { linkTo, repeatedly, type View } from '../view.js';

const EVERY_MS = 3000;

interface Step {
  readonly at: string | null;
  readonly grade: string;
  readonly title: string;
  readonly more: readonly Child[];
}

/** The failure that a worker reported, with invisible characters replaced. */
function wordsOf({ kind, code, text, detail }: WorkerFailure): Child[] {
  const again = kind === 'final' ? ' Final: the broker does not retry it.' : '';
  const said = detail.map(({ encoding, data }) =>
    encoding === 'base64' ? `(not text; base64) ${data}` : lines(data),
  );
  return [
    el('code', {}, line(code)),
    ` ${line(text)}${again}`,
    ...said.map((each) => el('pre', { class: 'detail' }, each)),
  ];
}

function stepsOf(history: RequestHistory): Step[] {
  const { service, acceptedAt, bodyBytes, generation, deliveries, delivery, reply, death } =
    history;
  const accepted = `${bytes(bodyBytes)} for ${service}, on disk`;
  const steps: Step[] = [{ at: acceptedAt, grade: 'good', title: 'Accepted', more: [accepted] }];
  if (generation > 0) {
    const times = generation === 1 ? 'once' : `${generation} times`;
    steps.push({ at: null, grade: 'quiet', title: `Retried by an operator ${times}`, more: [] });
  }
  const hidden = history.attemptsEver - deliveries.length;
  if (hidden > 0) {
    const title = hidden === 1 ? '1 earlier delivery' : `${hidden} earlier deliveries`;
    steps.push({
      at: null,
      grade: 'quiet',
      title,
      more: ['only the latest deliveries are kept'],
    });
  }
  for (const { worker, startedAt, endedAt, reason, failure } of deliveries) {
    const after = ` after ${millis(Date.parse(endedAt) - Date.parse(startedAt))}`;
    const more =
      failure === null ? [line(reason ?? ''), after] : [`Failed${after}: `, ...wordsOf(failure)];
    steps.push({ at: startedAt, grade: 'warn', title: `Delivered to worker ${worker}`, more });
  }
  if (delivery !== null) {
    const { startedAt, worker } = delivery;
    steps.push({
      at: startedAt,
      grade: 'info',
      title: `At worker ${worker} now`,
      more: [`for ${span(since(startedAt))}`],
    });
  }
  if (reply !== null) {
    const more = [`${bytes(reply.bytes)}, kept until the client closes it`];
    const title = reply.worker === '' ? 'Replied' : `Replied by worker ${reply.worker}`;
    steps.push({ at: reply.repliedAt, grade: 'good', title, more });
  }
  if (death !== null) {
    steps.push({ at: death.diedAt, grade: 'bad', title: 'Dead', more: [line(death.reason ?? '')] });
  }
  if (history.state === 'pending') {
    const { notBefore } = history;
    const isLater = Date.parse(notBefore) > Date.now();
    const more = isLater ? [`not before ${moment(notBefore)}`] : ['for an idle worker'];
    steps.push({ at: null, grade: 'quiet', title: 'Waiting', more });
  }
  return steps;
}

function timeline(history: RequestHistory): HTMLElement {
  const items = stepsOf(history).map(({ at, grade, title, more }) =>
    el(
      'li',
      { class: grade },
      el('time', { datetime: at ?? '' }, at === null ? '' : moment(at)),
      el('strong', {}, title),
      el('span', {}, ...more),
    ),
  );
  return el('ol', { class: 'timeline', 'aria-label': 'History' }, ...items);
}

function facts(history: RequestHistory): HTMLElement {
  const { attempts, maxAttempts, priority, hasKey, expiresAt } = history;
  const rows: readonly (readonly [string, Child])[] = [
    ['Service', serviceLink(history.service)],
    ['Failed attempts', `${attempts} of ${maxAttempts}`],
    ['Priority', priority],
    ['Idempotency key', hasKey ? 'yes' : 'no'],
    ['Kept until', moment(expiresAt)],
  ];
  return el(
    'dl',
    { class: 'facts' },
    ...rows.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]),
  );
}

/**
 * The commands that the state of the request allows.
 * @param uuid the whole uuid, which the API shows only to holders of a token
 */
function actions(
  uuid: string,
  { state }: RequestHistory,
  changed: () => Promise<void>,
): HTMLElement {
  const path = `/api/v1/titanic/requests/${encodeURIComponent(uuid)}`;
  const give = async (what: string, said: string): Promise<void> => {
    if ((await order(`${path}/${what}`)) === null) return;
    toast(said, 'good');
    await changed();
  };
  const copy = button('Copy UUID', 'button', () => {
    attempt(async () => {
      await navigator.clipboard.writeText(uuid);
      toast('Copied', 'good');
    });
  });
  // The clipboard works only on pages loaded over TLS or from loopback.
  copy.hidden = !isSecureContext;
  const retry = button('Retry', 'button primary', () => {
    attempt(() => give('retry', 'The request is pending again, with its attempt count reset.'));
  });
  retry.hidden = state !== 'dead';
  const cancel = button('Cancel', 'button danger', () => {
    attempt(async () => {
      const isSure = await askPerson({
        title: 'Cancel this request?',
        body: [
          el(
            'p',
            {},
            'The broker deletes the request. A client that asks for it gets 400 (unknown request).',
          ),
        ],
        confirm: 'Cancel the request',
        isDangerous: true,
      });
      if (!isSure) return;
      await give('cancel', 'Request cancelled.');
    });
  });
  cancel.hidden = state === 'replied';
  return el('div', { class: 'actions' }, copy, retry, cancel);
}

export function requestHistoryView(uuid: string): View {
  const body = el('div', { class: 'request-history', 'aria-live': 'polite' });
  let shown = '';
  let bodies: HTMLElement | null = null;
  let hasReply = false;
  const load = async (): Promise<void> => {
    try {
      const history = await get<RequestHistory>(
        `/api/v1/titanic/requests/${encodeURIComponent(uuid)}`,
      );
      const now = JSON.stringify(history);
      // Redrawing an unchanged history would take the focus from a button.
      if (now === shown) return;
      shown = now;
      // Open bodies stay open, unless there is a reply to add.
      if (hasReply !== (history.reply !== null)) bodies = null;
      hasReply = history.reply !== null;
      bodies ??= history.showsBodies ? storedBodies(uuid) : null;
      body.replaceChildren(
        el('div', { class: 'bar' }, statePill(history.state), actions(uuid, history, load)),
        facts(history),
        timeline(history),
        ...(bodies === null ? [] : [bodies]),
      );
    } catch (error) {
      shown = '';
      const isUnknown = statusOf(error) === 404;
      body.replaceChildren(
        isUnknown
          ? empty('Not found', 'There is no such request, or it was closed, or it has expired.')
          : empty('The request cannot be shown', messageOf(error)),
      );
    }
  };
  return {
    element: el(
      'section',
      { class: 'card' },
      el('p', { class: 'crumbs' }, el('a', { href: linkTo('durable') }, 'Durable requests')),
      el('h1', { class: 'uuid' }, uuid),
      body,
    ),
    close: repeatedly(load, () => EVERY_MS),
  };
}
