/** The header, which shows the state of the node, and the banner, which shows its problems. */
import type { Overview } from '../admin/api/node-answers.js';
import { attribute, button, byId, el, fill, outerLink, text } from './dom.js';
import { span } from './format.js';
import type { NodeWatch, Watched } from './node-watch.js';
import { RequestTroubles } from './request-troubles.js';
import { linkTo } from './view.js';

type Grade = 'good' | 'warn' | 'bad' | 'quiet';

export interface Trouble {
  readonly grade: Grade;
  readonly title: string;
  readonly text: string;
  /** URL of the page of the other node, which serves; `null`: not known. */
  readonly elsewhere?: string | null;
  /** Target and label of a link to more about it on this page. */
  readonly link?: readonly [href: string, label: string];
}

/** Severity and title of each reason for not serving. Unknown reasons are bad. */
const NOT_READY: Readonly<Record<string, readonly [Grade, string]>> = {
  starting: ['quiet', 'Starting'],
  draining: ['warn', 'Draining'],
  passive: ['quiet', 'Passive'],
  waiting: ['warn', 'Waiting for its peer'],
  joining: ['warn', 'Joining its peer'],
  holding: ['warn', 'Serving paused'],
};

const DEGRADED: Readonly<Record<string, readonly [Grade, string]>> = {
  store_full: ['bad', 'Disk full'],
  store_busy: ['bad', 'Store busy'],
  map_full: ['bad', 'Disk full'],
  map_busy: ['bad', 'Store busy'],
  store_set_aside: ['warn', 'Rows set aside'],
  store_fatal: ['bad', 'Store damaged'],
  store_failed: ['bad', 'Replication not stored'],
  fleet_down: ['warn', 'No connection to NATS'],
  not_in_sync: ['warn', 'Not in sync'],
  peer_refused: ['bad', 'Peer refused'],
  store_log_held: ['warn', 'The store is being read'],
};

/** All problems, worst first. */
function troublesOf({ overview, contact, lostAt, why }: Watched): Trouble[] {
  if (contact === 'locked') {
    return [{ grade: 'warn', title: 'Locked', text: 'This node needs a token for reading.' }];
  }
  if (contact === 'lost') {
    const since = lostAt === null ? '' : ` for ${span(Date.now() - lostAt)}`;
    const text = `No answer${since}: ${why}. The page keeps trying; the data shown is out of date.`;
    return [{ grade: 'bad', title: 'No connection to the daemon', text }];
  }
  return overview === null ? [] : troublesOfNode(overview);
}

function troublesOfNode(overview: Overview): Trouble[] {
  const { reason, degraded, state, peer } = overview;
  const found: Trouble[] = [];
  if (state === 'active' && peer?.state === 'active') {
    const text = 'Both nodes of the pair are active. The one with the lower epoch steps down.';
    found.push({ grade: 'bad', title: 'Split brain', text });
  }
  if (reason !== null) {
    const [usual, title] = NOT_READY[reason.code] ?? ['bad', 'Not serving'];
    // Then neither node serves.
    const grade = state !== 'active' && peer?.up === false ? 'bad' : usual;
    const other = state === 'passive' && peer?.up === true ? peer : null;
    const elsewhere = other?.publicUrl ?? null;
    const at = other?.endpoint ?? null;
    const where = elsewhere === null && at !== null ? ` The other node is at ${at}.` : '';
    // The title replaces the code.
    const prefix = `${reason.code}: `;
    const said = reason.text.startsWith(prefix) ? reason.text.slice(prefix.length) : reason.text;
    found.push({ grade, title, text: sentence(said) + where, elsewhere });
  }
  for (const { code, text } of degraded) {
    const [grade, title] = DEGRADED[code] ?? ['warn', 'Degraded'];
    found.push({ grade, title, text: sentence(text) });
  }
  const badness: readonly Grade[] = ['bad', 'warn', 'quiet', 'good'];
  return found.sort((left, right) => badness.indexOf(left.grade) - badness.indexOf(right.grade));
}

function sentence(said: string): string {
  const first = said.charAt(0).toUpperCase() + said.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

/** Shows and updates header and banner. */
export function showStatus(watch: NodeWatch): void {
  const banner = byId('banner');
  let said = '';
  let last: Watched | null = null;
  const requests = new RequestTroubles(() => {
    if (last !== null) show(last);
  });
  const show = (watched: Watched): void => {
    last = watched;
    const { contact, overview } = watched;
    const ofRequests = contact === 'good' && overview !== null ? requests.of(overview) : [];
    const troubles = [...troublesOf(watched), ...ofRequests];
    // Redrawn only if a text changed: a screen reader reads the banner again.
    const now = JSON.stringify(troubles.map(({ grade: _grade, ...shown }) => shown));
    if (now === said) return;
    said = now;
    attribute(banner, 'hidden', troubles.length === 0);
    const again = contact === 'locked' || contact === 'lost';
    fill(
      banner,
      ...troubles.map(({ grade, title, text: why, elsewhere = null, link }) =>
        el(
          'p',
          { class: `trouble ${grade}` },
          el('strong', {}, title),
          ' ',
          why,
          ' ',
          outerLink(elsewhere, 'Open its page', 'outer'),
          link === undefined ? null : el('a', { href: link[0] }, link[1]),
        ),
      ),
      again
        ? button(contact === 'lost' ? 'Try now' : 'Enter the token', 'button', () => {
            watch.askNow();
          })
        : null,
    );
  };
  watch.watch((watched) => {
    header(watched);
    attribute(document.documentElement, 'data-contact', watched.contact);
    show(watched);
  });
}

function header(watched: Watched): void {
  const { overview, contact } = watched;
  const state = byId('state');
  if (overview === null) {
    text(state, contact === 'first' ? 'connecting' : contact);
    attribute(state, 'class', 'pill quiet');
    return;
  }
  const { node, version, uptimeMs, role, epoch } = overview;
  text(byId('node'), node);
  const [worst] = troublesOf(watched);
  const word = contact === 'good' ? overview.state : contact;
  text(state, word);
  attribute(state, 'class', `pill ${worst?.grade ?? 'good'}`);
  text(byId('role'), role === 'standalone' ? role : `${role}, epoch ${epoch}`);
  text(byId('version'), `v${version}`);
  text(byId('uptime'), `up ${span(uptimeMs)}`);
  document.title = `${contact === 'good' && worst === undefined ? '' : '⚠ '}${node} – Majordomo`;
}

/** The text for a view without content. */
export function empty(title: string, ...more: readonly (Node | string)[]): HTMLElement {
  return el('div', { class: 'empty' }, el('strong', {}, title), el('p', {}, ...more));
}

const GRADES: ReadonlyMap<string, string> = new Map([
  ['active', 'good'],
  ['busy', 'info'],
  ['dead', 'bad'],
  ['dispatched', 'info'],
  ['replied', 'good'],
]);

/** A state as a coloured label. */
export function statePill(state: string): HTMLElement {
  const grade = GRADES.get(state) ?? 'quiet';
  return el('span', { class: `pill ${grade}` }, state);
}

export function serviceLink(service: string): HTMLAnchorElement {
  return el('a', { href: linkTo('services', service), class: 'name' }, service);
}
