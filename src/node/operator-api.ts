/** Operators' queries and commands to the machine, made outside its turns, as promises. */
import type { BrokerLoop } from '../broker/io/loop.js';
import type { OperatorResult, OperatorApi } from '../titanic/operator/operator-api.js';
import type { Operator } from '../titanic/operator/operator.js';
import type { StoreQueries } from '../store/queries.js';

/** Answers go into the machine, which acts on them in the turn that this wrapper causes. */
export function awake(queries: StoreQueries, loop: BrokerLoop): StoreQueries {
  const waking =
    <Value>(answer: (value: Value) => void) =>
    (value: Value): void => {
      loop.wake();
      answer(value);
    };
  return {
    page: (query, answer) => queries.page(query, waking(answer)),
    groups: (query, answer) => queries.groups(query, waking(answer)),
    history: (uuid, answer) => queries.history(uuid, waking(answer)),
    bodies: (uuid, answer) => queries.bodies(uuid, waking(answer)),
    hasKeys: (keys, answer) => queries.hasKeys(keys, waking(answer)),
  };
}

export function operatorApiOf(operator: Operator, loop: BrokerLoop): OperatorApi {
  const ask = <Value>(
    begin: (answer: (outcome: OperatorResult<Value>) => void) => void,
  ): Promise<OperatorResult<Value>> =>
    new Promise((resolve) => {
      loop.wake();
      begin(resolve);
    });
  return {
    list: (query) => ask((answer) => operator.list(query, answer)),
    groups: (query) => ask((answer) => operator.groups(query, answer)),
    history: (uuid) => ask((answer) => operator.history(uuid, answer)),
    bodies: (uuid) => ask((answer) => operator.bodies(uuid, answer)),
    counts: () => operator.counts(),
    schedules: (after, limit) => ask((answer) => operator.schedules(after, limit, answer)),
    setPaused: (target, isOn, by) => ask((answer) => operator.setPaused(target, isOn, by, answer)),
    setLimits: (service, limits, by) =>
      ask((answer) => operator.setLimits(service, limits, by, answer)),
    fireSchedule: (uuid, by) => ask((answer) => operator.fireSchedule(uuid, by, answer)),
    retry: (uuid, by) => ask((answer) => operator.retry(uuid, by, answer)),
    runNow: (uuid, by) => ask((answer) => operator.runNow(uuid, by, answer)),
    cancel: (uuid, by) => ask((answer) => operator.cancel(uuid, by, answer)),
    bulk: (act, selection, limit, by) =>
      ask((answer) => operator.many.run(act, selection, limit, by, answer)),
    countFor: (act, selection) => ask((answer) => operator.many.count(act, selection, answer)),
  };
}
