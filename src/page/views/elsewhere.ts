/** The view of a passive node: a link to the other node instead of charts. */
import type { Overview } from '../../admin/api/node-answers.js';
import { type Child, el, fill, outerLink } from '../dom.js';
import { type Context, linkTo, type View } from '../view.js';

/** True if clients and workers use the other node, so that this one has no figures. */
export function isElsewhere(overview: Overview | null): boolean {
  return overview?.state === 'passive';
}

function words({ node, peer }: Overview): readonly Child[] {
  const pair = el('a', { href: linkTo('pair') }, 'Both nodes');
  if (peer?.up !== true) {
    return [el('p', {}, `${node} is passive and has no connection to the other node. `, pair)];
  }
  const said = `${node} is passive: clients and workers use the other node, which has their figures. `;
  const link = outerLink(peer.publicUrl, 'Open the page of the other node', 'button primary');
  if (link !== null) return [el('p', {}, said, pair), el('p', {}, link)];
  const how = [
    'Set ',
    el('code', {}, 'http.publicUrl'),
    ' in the configuration of the other node to get a link to its page here.',
  ];
  return [el('p', {}, said, pair), el('p', {}, ...how)];
}

export function elsewhereView({ watch }: Context): View {
  const body = el('div', { class: 'empty' });
  let shown = '';
  return {
    element: el('section', { class: 'card' }, el('h1', { class: 'unseen' }, 'Passive'), body),
    close: watch.watch(({ overview }) => {
      if (overview === null) return;
      const now = JSON.stringify([overview.node, overview.peer?.up, overview.peer?.publicUrl]);
      if (now === shown) return;
      shown = now;
      fill(body, el('strong', {}, 'Passive'), ...words(overview));
    }),
  };
}
