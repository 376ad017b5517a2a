/** The pair: both nodes, their link, the changes of state, and the two operator commands. */
import type { HaStatus } from '../../admin/api/node-answers.js';
import { get, messageOf } from '../api.js';
import { askPerson, attempt, order, toast } from '../dialogs.js';
import { button, type Child, el, fill, outerLink, text } from '../dom.js';
import { millis, moment, NONE } from '../format.js';
import { empty, statePill } from '../status-line.js';
import { type Context, repeatedly, type View } from '../view.js';

const EVERY_MS = 2000;

interface Order {
  readonly path: string;
  readonly title: string;
  readonly text: string;
  readonly done: string;
}

const SWITCHOVER: Order = {
  path: '/api/v1/ha/switchover',
  title: 'Hand over to the other node?',
  text: 'This node stops serving and the other one takes over. SDK clients and workers reconnect to it automatically.',
  done: 'The other node is taking over.',
};
const PROMOTE: Order = {
  path: '/api/v1/ha/promote',
  title: 'Make this node active?',
  text: 'Do this only if the other node will not come back: durable requests that it accepted but did not replicate are missing here.',
  done: 'This node is becoming active.',
};

function node(
  title: string,
  lines: readonly (readonly [string, Child])[],
  state: string | null,
): HTMLElement {
  const facts = lines.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value ?? NONE)]);
  const pill = state === null ? el('span', { class: 'pill quiet' }, 'unknown') : statePill(state);
  return el(
    'div',
    { class: 'node' },
    el('h2', {}, title),
    pill,
    el('dl', { class: 'facts' }, ...facts),
  );
}

function picture(ha: HaStatus, endpoint: string | null): HTMLElement[] {
  const { peer } = ha;
  if (peer === null) return [];
  const number = (value: number | null): string | null => (value === null ? null : String(value));
  const mine = node(
    `This node: ${ha.node}`,
    [
      ['Role', ha.role],
      ['Epoch', String(ha.epoch)],
    ],
    ha.state,
  );
  const other = node(
    'The other node',
    [
      ['Address', endpoint],
      ['Page', outerLink(peer.publicUrl, peer.publicUrl ?? '', 'outer')],
      ['Epoch', number(peer.epoch)],
      ['Last heard', peer.heardMsAgo === null ? 'never' : `${millis(peer.heardMsAgo)} ago`],
    ],
    peer.up ? peer.state : 'not heard',
  );
  // Only the active node knows whether the other one has everything.
  const isActive = ha.state === 'active';
  const isFine = ha.inSync || !isActive;
  const grade = !peer.up ? 'bad' : isFine ? 'good' : 'warn';
  const sync = ha.inSync ? 'in sync' : isActive ? 'not in sync' : 'connected';
  const words = peer.up ? sync : 'no connection';
  const link = el(
    'div',
    { class: `link ${grade}` },
    el('strong', {}, words),
    el('span', {}, `replication ${ha.replication}`),
    ha.lagMs === null ? null : el('span', {}, `lag ${millis(ha.lagMs)}`),
    ha.keysDiffer === true ? el('strong', {}, 'the keys files of the two nodes differ') : null,
  );
  return [mine, link, other];
}

function historyTable(ha: HaStatus): HTMLElement {
  const rows = ha.history.map(({ at, from, to, reason }) =>
    el(
      'tr',
      {},
      el('td', {}, moment(at)),
      el('td', {}, statePill(from), ' → ', statePill(to)),
      el('td', {}, reason),
    ),
  );
  const heads = ['When', 'Change', 'Why'].map((head) => el('th', { scope: 'col' }, head));
  return el(
    'div',
    { class: 'table' },
    el(
      'table',
      { 'aria-label': 'Changes of state' },
      el('thead', {}, el('tr', {}, ...heads)),
      el('tbody', {}, ...rows),
    ),
  );
}

export function pairView({ watch }: Context): View {
  const body = el('div', { class: 'pair', hidden: true });
  const history = el('div', {});
  const status = el('span', { class: 'quiet', role: 'status' });
  const alone = empty(
    'This node has no peer',
    'A second node can take over if this one fails. To set up a pair, configure ',
    el('code', {}, 'bstar.role'),
    ', ',
    el('code', {}, 'bstar.listen'),
    ' and ',
    el('code', {}, 'bstar.peer'),
    ' on both nodes.',
  );
  alone.hidden = true;
  let shown = '';
  const load = async (): Promise<void> => {
    try {
      const ha = await get<HaStatus>('/api/v1/ha');
      text(status, '');
      const isPair = ha.role !== 'standalone';
      alone.hidden = isPair;
      body.hidden = !isPair;
      const isPeerUp = ha.peer?.up === true;
      // Each button appears only if the node would accept the command.
      switchover.hidden = !(ha.state === 'active' && isPeerUp && ha.inSync);
      promote.hidden = !isPair || ha.state === 'active' || ha.state === 'joining' || isPeerUp;
      fill(body, ...picture(ha, watch.now.overview?.peer?.endpoint ?? null));
      const now = JSON.stringify(ha.history);
      if (now === shown) return;
      shown = now;
      fill(
        history,
        ...(ha.history.length === 0 ? [] : [el('h2', {}, 'Changes'), historyTable(ha)]),
      );
    } catch (error) {
      text(status, messageOf(error));
    }
  };
  const ordering = (
    label: string,
    style: string,
    { path, title, text: why, done }: Order,
  ): HTMLButtonElement =>
    button(label, style, () => {
      attempt(async () => {
        const body = [el('p', {}, why)];
        const isDangerous = style.includes('danger');
        if (!(await askPerson({ title, body, confirm: label, isDangerous }))) return;
        if ((await order(path)) === null) return;
        toast(done, 'good');
        await load();
      });
    });
  const switchover = ordering('Switch over', 'button primary', SWITCHOVER);
  const promote = ordering('Promote', 'button danger', PROMOTE);
  switchover.hidden = true;
  promote.hidden = true;
  return {
    element: el(
      'section',
      { class: 'card' },
      el(
        'header',
        { class: 'bar' },
        el('h1', {}, 'Pair'),
        status,
        el('div', { class: 'actions' }, switchover, promote),
      ),
      alone,
      body,
      history,
    ),
    close: repeatedly(load, () => EVERY_MS),
  };
}
