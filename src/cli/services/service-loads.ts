/** Services as lists of any version of a node tell them, in the order of the page, and those that a filter names. */
import type { Command } from 'commander';

import { unescapeName } from '../../core/escape.js';
import {
  answersNothing,
  byNeed,
  isLate,
  isUnserved,
  WEBHOOK_SERVICE,
  type ServiceLoad,
} from '../../core/service-needs.js';
import { type Facts, factsIn } from '../common/facts.js';

export interface NameOptions {
  readonly name?: string;
}

export const ORDER_TEXT =
  'those that fail first, or failed in the last minute and answer nothing,\n' +
  'then those with dead requests, with waiting requests and no worker, and with requests that have waited for more\n' +
  'than ten seconds; then the fastest';

export function addNameOption(command: Command): Command {
  return command.option(
    '--name <text>',
    'only services with this in their name, in upper or lower case',
  );
}

/** Returns the services that the option asks for, failing ones first. */
export function inOrder(services: readonly Facts[], { name }: NameOptions): readonly Facts[] {
  const wanted = name?.toLowerCase() ?? '';
  const found = services.filter(({ service }) =>
    namesOf(service).some((each) => each.includes(wanted)),
  );
  const loads = new Map(found.map((service) => [loadOf(service), service]));
  return byNeed([...loads.keys()]).map((load) => loads.get(load) ?? {});
}

/** The name of a service as lists show it, and as its bytes are text, in lower case. */
function namesOf(service: unknown): readonly string[] {
  const shown = String(service);
  return [shown, unescapeName(shown)?.toString('utf8') ?? shown].map((each) => each.toLowerCase());
}

export function loadOf(service: Facts): ServiceLoad {
  const { workersWaiting, workersBusy, queued } = service;
  return {
    service: String(service['service']),
    workersWaiting: numberIn(workersWaiting) ?? 0,
    workersBusy: numberIn(workersBusy) ?? 0,
    queued: numberIn(queued) ?? 0,
    oldestQueuedMs: numberIn(service['oldestQueuedMs']),
    failedMsAgo: numberIn(service['failedMsAgo']),
    plain: numbersIn(service['plain']),
    durable: numbersIn(service['durable']),
  };
}

function numberIn(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}

function numbersIn(value: unknown): Readonly<Record<string, number | null>> | null {
  const facts = factsIn(value);
  if (facts === null) return null;
  return Object.fromEntries(Object.entries(facts).map(([name, each]) => [name, numberIn(each)]));
}

/** Services as in mmi.services, whichever way the node was asked: without what changes by the millisecond. */
export function asOverMmi(services: readonly Facts[]): readonly Facts[] {
  return services.map(
    ({
      oldestQueuedMs: _oldest,
      clientsAway: _away,
      failedMsAgo: _failed,
      limits: _limits,
      groupLimits: _groupLimits,
      limitsSet: _limitsSet,
      ...service
    }) => service,
  );
}

/** What needs a person; empty: nothing does. */
export function needOf(service: Facts): string {
  const load = loadOf(service);
  if (service['paused'] === true) return 'paused';
  const isFailing = answersNothing(load);
  const isServed = load.workersWaiting + load.workersBusy > 0 || load.service === WEBHOOK_SERVICE;
  if (isUnserved(load) || (isFailing && !isServed)) return 'no worker serves it';
  if (isLate(load)) return 'all workers are busy';
  return isFailing ? 'every request fails' : '';
}
