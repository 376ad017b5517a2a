/** The view of a passive node: a link to the other node instead of charts. */
import type { VNode } from 'preact';

import { linkTo } from '../address.js';
import { OuterLink } from '../names.js';
import { overview } from '../node.js';

export function ElsewhereView(): VNode {
  const { node = '', peer = null } = overview.value ?? {};
  const url = peer?.publicUrl ?? null;
  const label = 'Open the page of the other node';
  const isUp = peer?.up === true;
  return (
    <section class="card">
      <h1 class="unseen">Passive</h1>
      <div class="empty">
        <strong>Passive</strong>
        <p>
          {isUp
            ? `${node} is passive: clients and workers use the other node, which has their figures. `
            : `${node} is passive and has no connection to the other node. `}
          <a href={linkTo('pair')}>Both nodes</a>
        </p>
        {!isUp ? null : url !== null && /^https?:\/\//.test(url) ? (
          <p>
            <OuterLink href={url} label={label} style="button primary" />
          </p>
        ) : (
          <p>
            Set <code>http.publicUrl</code> in the configuration of the other node to get a link to
            its page here.
          </p>
        )}
      </div>
    </section>
  );
}
