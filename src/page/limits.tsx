/** The limits of a service: what is shown of them, and the buttons with which an operator sets them. */
import type { VNode } from 'preact';

import type { Service } from '../admin/api/node-answers.js';
import { limitText } from '../core/run-limits.js';
import { Button } from './controls.js';
import { askPerson, order, toast } from './dialogs.js';
import { count, line, momentAt } from './format.js';
import { decoded } from './names.js';

const FIELDS = [
  ['running', 'Run at once'],
  ['perSecond', 'Start per second'],
  ['burst', 'Start at once after a pause'],
  ['groupRunning', 'Of each group: run at once'],
  ['groupPerSecond', 'Of each group: start per second'],
  ['groupBurst', 'Of each group: start at once after a pause'],
] as const;
type Entered = Partial<Record<(typeof FIELDS)[number][0], number | undefined>>;

/** What holds now, as the fields of the form. */
function enteredOf({ limits, groupLimits }: Service): Entered {
  const all = {
    running: limits?.running,
    perSecond: limits?.perSecond,
    burst: limits?.perSecond === null ? null : limits?.burst,
    groupRunning: groupLimits?.running,
    groupPerSecond: groupLimits?.perSecond,
    groupBurst: groupLimits?.perSecond === null ? null : groupLimits?.burst,
  };
  const given = Object.entries(all).filter(([, value]) => typeof value === 'number');
  return Object.fromEntries(given);
}

export function LimitButtons(given: Service & { readonly isBehind: boolean }): VNode {
  const { service, limitsSet, isBehind } = given;
  const path = `/api/v1/services/${encodeURIComponent(service)}`;
  const limit = async (): Promise<void> => {
    const entered: Entered = enteredOf(given);
    const body = <LimitFields entered={entered} />;
    const check = (): string | null => {
      if (Object.values(entered).every((value) => value === undefined)) {
        return 'Enter at least one limit.';
      }
      const isLone =
        (entered.burst !== undefined && entered.perSecond === undefined) ||
        (entered.groupBurst !== undefined && entered.groupPerSecond === undefined);
      return isLone ? 'Starts at once after a pause need a number per second.' : null;
    };
    const title = `Limit ${decoded(service)}`;
    if (!(await askPerson({ title, body, confirm: 'Set the limits', check }))) return;
    const { onFailure = null } = given.groupLimits ?? {};
    const held = onFailure === 'hold' ? { onFailure } : {};
    if ((await order(`${path}/limit`, { ...entered, ...held })) !== null) {
      toast(`Limits set: ${decoded(service)}`, 'good');
    }
  };
  const unlimit = async (): Promise<void> => {
    const body = <p>Those of the configuration hold again, if there are any.</p>;
    const title = `Take the limits of ${decoded(service)} away?`;
    if (!(await askPerson({ title, body, confirm: 'Take the limits away' }))) return;
    if ((await order(`${path}/unlimit`)) !== null) {
      toast(`Limits taken away: ${decoded(service)}`, 'good');
    }
  };
  return (
    <>
      <Button label="Limit" isCommand isDisabled={isBehind} act={limit} />
      {limitsSet === null ? null : (
        <Button label="Unlimit" isCommand isDisabled={isBehind} act={unlimit} />
      )}
    </>
  );
}

function LimitFields({ entered }: { readonly entered: Entered }): VNode {
  return (
    <>
      <p>They hold at once, in place of those of the configuration. An empty field is no limit.</p>
      {FIELDS.map(([name, label]) => (
        <label key={name}>
          {label}
          <input
            type="number"
            min={name.endsWith('erSecond') ? '0.001' : '1'}
            max="1000000"
            step={name.endsWith('erSecond') ? 'any' : '1'}
            defaultValue={entered[name]?.toString()}
            onInput={({ currentTarget: { value } }) => {
              entered[name] = value === '' ? undefined : Number(value);
            }}
          />
        </label>
      ))}
    </>
  );
}

/** Which limits hold, what waits for them, and who set them. */
export function Limits({ limits, groupLimits, limitsSet }: Service): VNode | null {
  if (limits === null && groupLimits === null && limitsSet === null) return null;
  const who = limitsSet === null ? 'the configuration' : (limitsSet.by ?? 'an operator');
  const lines = [
    ...(limits === null ? [] : [`${limitText(limits)}${heldText(limits.held)}`]),
    ...(groupLimits === null
      ? []
      : [`each group ${limitText(groupLimits)}, on failure ${groupLimits.onFailure}`]),
    `set by ${who}${limitsSet === null ? '' : ` at ${momentAt(Date.parse(limitsSet.at))}`}`,
  ];
  const held = groupLimits?.held ?? [];
  return (
    <>
      <p>
        <strong>Limits</strong>: {line(lines.join('; '))}.
      </p>
      {held.length === 0 ? null : (
        <ul>
          {held.map(({ group, queued, why }) => (
            <li key={group}>
              {line(group)}: {count(queued)} queued; {line(why)}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

function heldText(held: string | null): string {
  return held === null ? '' : ` (held: ${held})`;
}
