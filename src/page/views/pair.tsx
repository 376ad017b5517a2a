/** The pair: both nodes, their link, the changes of state, and the two operator commands. */
import type { ComponentChildren, VNode } from 'preact';

import type { HaChange, HaStatus } from '../../admin/api/node-answers.js';
import { get } from '../api.js';
import { Button, Card, Empty, Facts, Loading } from '../controls.js';
import { askPerson, order, toast } from '../dialogs.js';
import { millis, moment, NONE } from '../format.js';
import { OuterLink, StatePill } from '../names.js';
import { overview } from '../node.js';
import { usePolled } from '../poll.js';
import { type Column, Table } from '../table.js';

const EVERY_MS = 2000;

interface Order {
  readonly path: string;
  readonly label: string;
  readonly style: string;
  readonly title: string;
  readonly text: string;
  readonly done: string;
}

const SWITCHOVER: Order = {
  path: '/api/v1/ha/switchover',
  label: 'Switch over',
  style: 'button primary',
  title: 'Hand over to the other node?',
  text: 'This node stops serving and the other one takes over. SDK clients and workers reconnect to it automatically.',
  done: 'The other node is taking over.',
};
const PROMOTE: Order = {
  path: '/api/v1/ha/promote',
  label: 'Promote',
  style: 'button danger',
  title: 'Make this node active?',
  text: 'Do this only if the other node will not come back: durable requests that it accepted but did not replicate are missing here.',
  done: 'This node is becoming active.',
};

const CHANGES: readonly Column<HaChange>[] = [
  { head: 'When', cell: ({ at }) => moment(at) },
  {
    head: 'Change',
    cell: ({ from, to }) => (
      <>
        <StatePill state={from} /> → <StatePill state={to} />
      </>
    ),
  },
  { head: 'Why', cell: ({ reason }) => reason },
];

export function PairView(): VNode {
  const polled = usePolled('pair', () => get<HaStatus>('/api/v1/ha'), EVERY_MS);
  const { answer, error } = polled;
  return (
    <Card
      title="Pair"
      isView
      error={answer === null ? null : error}
      tools={answer === null ? null : <Orders {...answer} />}
    >
      {answer === null ? (
        <Loading of={polled} />
      ) : answer.role === 'standalone' ? (
        <Empty title="This node has no peer">
          A second node can take over if this one fails. To set up a pair, configure{' '}
          <code>bstar.role</code>, <code>bstar.listen</code> and <code>bstar.peer</code> on both
          nodes.
        </Empty>
      ) : (
        <>
          <Picture {...answer} />
          {answer.history.length === 0 ? null : (
            <>
              <h2>Changes</h2>
              <Table
                label="Changes of state"
                columns={CHANGES}
                items={answer.history}
                rowKey={({ at }, index) => `${at} ${index}`}
                isFixed
                empty={null}
              />
            </>
          )}
        </>
      )}
    </Card>
  );
}

/** Each button appears only if the node would accept the command. */
function Orders(ha: HaStatus): VNode {
  const isPeerUp = ha.peer?.up === true;
  const isPair = ha.role !== 'standalone';
  const mayPromote = isPair && ha.state !== 'active' && ha.state !== 'joining' && !isPeerUp;
  const give = async ({ path, label, style, title, text, done }: Order): Promise<void> => {
    const isDangerous = style.includes('danger');
    if (!(await askPerson({ title, body: <p>{text}</p>, confirm: label, isDangerous }))) return;
    if ((await order(path)) !== null) toast(done, 'good');
  };
  const offered = [
    ...(ha.state === 'active' && isPeerUp && ha.inSync ? [SWITCHOVER] : []),
    ...(mayPromote ? [PROMOTE] : []),
  ];
  return (
    <div class="actions">
      {offered.map((each) => (
        <Button
          key={each.path}
          label={each.label}
          style={each.style}
          isCommand
          act={() => give(each)}
        />
      ))}
    </div>
  );
}

interface NodeOf {
  readonly title: string;
  readonly state: string | null;
  readonly facts: readonly (readonly [name: string, value: ComponentChildren])[];
}

function Node({ title, state, facts }: NodeOf): VNode {
  return (
    <div class="node">
      <h2>{title}</h2>
      <StatePill state={state ?? 'unknown'} />
      <Facts rows={facts.map(([name, value]) => [name, value ?? NONE])} />
    </div>
  );
}

function Picture(ha: HaStatus): VNode | null {
  const { peer } = ha;
  if (peer === null) return null;
  const { publicUrl, epoch, heardMsAgo } = peer;
  // Only the active node knows whether the other one has everything.
  const isActive = ha.state === 'active';
  const isFine = ha.inSync || !isActive;
  const grade = !peer.up ? 'bad' : isFine ? 'good' : 'warn';
  const sync = ha.inSync ? 'in sync' : isActive ? 'not in sync' : 'connected';
  const page =
    publicUrl === null ? null : <OuterLink href={publicUrl} label={publicUrl} style="outer" />;
  return (
    <div class="pair">
      <Node
        title={`This node: ${ha.node}`}
        state={ha.state}
        facts={[
          ['Role', ha.role],
          ['Epoch', ha.epoch],
        ]}
      />
      <div class={`link ${grade}`}>
        <strong>{peer.up ? sync : 'no connection'}</strong>
        <span>{`replication ${ha.replication}`}</span>
        {ha.lagMs === null ? null : <span>{`lag ${millis(ha.lagMs)}`}</span>}
        {ha.keysDiffer === true ? <strong>the keys files of the two nodes differ</strong> : null}
      </div>
      <Node
        title="The other node"
        state={peer.up ? peer.state : 'not heard'}
        facts={[
          ['Address', overview.value?.peer?.endpoint],
          ['Page', page],
          ['Epoch', epoch],
          ['Last heard', heardMsAgo === null ? 'never' : `${millis(heardMsAgo)} ago`],
        ]}
      />
    </div>
  );
}
