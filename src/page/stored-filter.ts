/** The filters of stored requests: as typed, in the page's address, and as parameters of the API. */
import { withQuery } from './api.js';
import { filter } from './address.js';

/** Parameters of the API that select stored requests. An empty code is a code. */
export type Selection = Readonly<Record<string, string>>;

/** The names of filters in the address, and what the API calls them. */
const PLAIN = {
  state: 'state',
  // In the address, `group` is one of failures.
  of: 'group',
  reason: 'reason',
  code: 'code',
  header: 'header',
  uuid: 'uuid',
  uuidEnd: 'uuidEnd',
  since: 'acceptedAfter',
  before: 'acceptedBefore',
  diedSince: 'diedAfter',
  diedBefore: 'diedBefore',
  kind: 'kind',
} as const;
const NEED_TOKEN = ['group', 'reason', 'code', 'header', 'pattern', 'uuidEnd'];

/** `NAME`, `PREFIX*` or `*PART*`. */
function serviceOf(typed: string): Selection {
  const [, before = '', service = '', after = ''] = /^(\*?)(.*?)(\*?)$/.exec(typed) ?? [];
  if (service === '') return {};
  const serviceMatch = before !== '' ? 'substring' : after !== '' ? 'prefix' : 'exact';
  return { service, serviceMatch };
}

/** Writes the name of the service as one types it. */
export function inWords({ serviceMatch, ...rest }: Selection): Selection {
  const { service = '' } = rest;
  if (serviceMatch === 'prefix') return { ...rest, service: `${service}*` };
  return serviceMatch === 'substring' ? { ...rest, service: `*${service}*` } : rest;
}

/** What the pending requests wait for, as the choice of states has it. */
export const PHASES = ['waiting', 'delayed', 'retrying'] as const;

/** A phase stands in the place of the state. */
function stateOf(given: string): Selection {
  const phase = PHASES.find((each) => each === given);
  if (phase !== undefined) return { state: 'pending', phase };
  return given === '' ? {} : { state: given };
}

/** The group in the address: what its requests have in common. */
function groupOf(written: string): Selection {
  try {
    const given = (JSON.parse(written) ?? {}) as Readonly<Record<string, unknown>>;
    const { code, pattern } = given;
    return typeof code === 'string' && typeof pattern === 'string' ? { code, pattern } : {};
  } catch {
    return {};
  }
}

/** What the filters of the shown view select, without the group. */
export function filtersNow(): Selection {
  const plain = Object.entries(PLAIN).map(
    ([name, parameter]) => [parameter, filter(name)] as const,
  );
  const given = Object.fromEntries(plain.filter(([, value]) => value !== ''));
  return { ...serviceOf(filter('service')), ...given, ...stateOf(given['state'] ?? '') };
}

export function groupNow(): Selection {
  return groupOf(filter('group'));
}

export function needsToken(selection: Selection): boolean {
  return NEED_TOKEN.some((name) => name in selection);
}

/** @param parameters others; empty ones are left out */
export function withSelection(path: string, selection: Selection, parameters: Selection): string {
  return `${withQuery(path, parameters)}&${new URLSearchParams(selection).toString()}`;
}
