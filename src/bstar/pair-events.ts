/** The events of a pair, for monitoring: see core/event-table.ts. */
import {
  address,
  key,
  REJECTED,
  REJECTED_RULES,
  reason,
  rejectedText,
  text,
} from '../core/event-fields.js';
import { error, type EventOf, type EventSink, field, info, warn } from '../core/event-table.js';
import type { State } from './facts.js';

const state = field.oneOf<State>({ waiting: '', passive: '', joining: '', active: '' });
const epoch = field.number();

const KEYS_DIFFER =
  'the keys files of the two nodes differ in keys or rights, so a failover changes who may connect; ' +
  'copy them from one node to the other';

export const PAIR_EVENTS = {
  'ha.changed': warn(
    '{from} → {to}, epoch {epoch}: {reason}',
    { from: state, to: state, epoch, reason },
    { when: 'this node changed its state', counted: 'ha_transitions_total', by: ['epoch', 'to'] },
  ),
  'ha.connected': info(
    'the peer {peer} is connected (peer protocol {version})',
    {
      peer: field.string('the `node.name` of the peer'),
      version: field.number('the version of the peer protocol that both nodes use'),
    },
    { subject: 'ha.connected' },
  ),
  'ha.disconnected': warn('lost the connection to the peer', {}, { subject: 'ha.connected' }),
  'ha.keys_differ': warn(KEYS_DIFFER, {}),
  'ha.listener_keys_differ': warn(
    'clients of one node cannot use the other: {at} of the two nodes has different public keys, or only one node has it; ' +
      'give both the same, and copy the files of secretKeyFile',
    { at: field.string('`broker.listen`, `map.listen`, or both') },
    'the listeners of the two nodes have different public keys, or only one node has such a listener, so its clients cannot fail over',
  ),
  'ha.refused': error(
    ({ code, peer, text }) => (code === 'by_peer' ? text : `refused to pair with ${peer}: ${text}`),
    {
      code: field.string(),
      peer: field.string('the other node, or `the peer`'),
      text,
      key,
      address: field.orNull(address),
    },
    {
      when: 'this node does not accept another node as its peer, or is not accepted by it; `key` and `address` are `null` if this node dialled or was refused',
      by: ['code'],
    },
  ),
  'ha.rejected': warn((event) => rejectedText('a connection to bstar.listen', event), REJECTED, {
    when: 'a connection to `bstar.listen` was closed or not accepted, as in `connection.rejected`',
    ...REJECTED_RULES,
  }),
  'ha.merged': info(
    'in sync: {fromPeer} requests came from the peer, {toPeer} went to it, {ranTwice} ran on both sides',
    {
      fromPeer: field.number('those that came from the peer'),
      toPeer: field.number('those that went to it'),
      ranTwice: field.number('those that had two replies'),
    },
    { subject: 'ha.merged' },
  ),
  'ha.unsynced': warn(
    'the peer is no longer in sync',
    {},
    { when: 'the peer no longer has everything that this node acknowledges', subject: 'ha.merged' },
  ),
  'ha.split': error(
    ({ epoch, peerEpoch }) => {
      const who = epoch < peerEpoch ? 'this node steps down' : 'the peer steps down';
      return `both nodes are active: ${who} (epoch ${epoch}, the peer has ${peerEpoch})`;
    },
    { epoch, peerEpoch: epoch },
    {
      when: 'both nodes are active; the one with the lower epoch steps down now',
      counted: 'ha_split_brain_total',
    },
  ),
  'ha.paused': warn('event loop stalled for {stoodMs} ms; checking the peer before serving', {
    stoodMs: field.number('for how long'),
  }),
  'ha.failed': error(
    'could not store data from the peer: {text}',
    { text },
    'this node could not store what the peer sent; it tries again later',
  ),
};

export type PairEvent = EventOf<typeof PAIR_EVENTS>;
export type PairEvents = EventSink<PairEvent>;
