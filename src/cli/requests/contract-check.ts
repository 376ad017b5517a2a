/** `majordomo request` checks a body against what the workers of its service announced, before it sends. */
import { runInNewContext } from 'node:vm';

import type * as Library from '@cfworker/json-schema';

import { monotonicMs } from '../../core/clock.js';
import { messageOf } from '../../core/errors.js';
import type { Client } from '../../sdk/client.js';
import { type Facts, factsIn, listIn } from '../common/facts.js';
import { usage } from '../common/options.js';
import { printable, say, shownName } from '../common/output.js';
import { lenient } from './lenient-schema.js';

/** How long the broker may take to tell the contract: one that does not know the question may be silent. */
const ASK_MS = 1000;
/** How long all schemas together may take: their patterns are those of workers. */
const CHECK_MS = 1000;
const PROBLEMS_MAX = 10;
const PROBLEM_CHARACTERS_MAX = 200;
/** Keywords of what contains the place where something is wrong, which has an error of its own. */
const CONTAINERS = new Set(['properties', 'items', 'prefixItems', 'additionalProperties', '$ref']);

/** The drafts by `$schema`, without its scheme and an empty fragment. */
const DIALECTS: ReadonlyMap<string, Library.SchemaDraft> = new Map([
  ['json-schema.org/draft-04/schema', '4'],
  ['json-schema.org/draft-07/schema', '7'],
  ['json-schema.org/draft/2019-09/schema', '2019-09'],
  ['json-schema.org/draft/2020-12/schema', '2020-12'],
]);

const WORKERS_JUDGE =
  'only its worker can judge that: a pattern may have flags there, and it may convert what it gets';

interface Judgement {
  /** `null`: the schema cannot be used. */
  readonly problems: readonly string[] | null;
  /** The worker refuses it, too, however it reads its schema. */
  readonly isCertain: boolean;
  readonly version: unknown;
  readonly why: string;
}

/**
 * A body that is JSON must suit one of the contracts, if there are any. A schema that cannot be used is a
 * warning, and so is what only the worker can judge. @throws ERR_USAGE
 */
export async function checkBody(
  client: Client,
  service: string,
  body: readonly (string | Uint8Array)[],
  timeoutMs: number,
): Promise<void> {
  if (/^(mmi|titanic)\./.test(service)) return;
  const value = jsonOf(body);
  if (value === undefined) return;
  const options = { timeoutMs: Math.min(timeoutMs, ASK_MS) };
  // What keeps the broker from answering, the request itself will report.
  const told = factsIn(await client.contractOf(service, options).catch(() => null));
  const contracts = listIn(told?.['contracts']).map(({ contract }) => factsIn(contract) ?? {});
  if (contracts.length === 0 || contracts.some(isOpen)) return;
  const library = await import('@cfworker/json-schema');
  const judged: Judgement[] = [];
  let leftMs = CHECK_MS;
  for (const [index, contract] of contracts.entries()) {
    // What one leaves of its equal share, the others have.
    const shareMs = Math.max(1, Math.floor(leftMs / (contracts.length - index)));
    const since = monotonicMs();
    const judgement = judgementOf(library, contract, value.json, shareMs);
    leftMs -= monotonicMs() - since;
    if (judgement.problems?.length === 0) return;
    judged.push(judgement);
  }
  const name = shownName(service);
  const unread = judged.find(({ problems }) => problems === null);
  const unknown = Number(told?.['workersWithout'] ?? 0) + Number(told?.['workersNotKept'] ?? 0);
  const isCertain = judged.every((each) => each.isCertain);
  const [why, text] =
    unread === undefined
      ? [
          isCertain ? 'some of its workers announced none' : WORKERS_JUDGE,
          problemsText(name, judged),
        ]
      : [unread.why, `the contract of ${name} cannot be used`];
  if (unread === undefined && unknown === 0 && isCertain) {
    throw usage(
      `nothing was sent: ${text}\n--no-check sends it all the same; the contract: majordomo services describe ${name}`,
    );
  }
  say(`warning: ${text}\nIt is sent, as ${why}.`);
}

/** `undefined`: it is no JSON. */
function jsonOf(body: readonly (string | Uint8Array)[]): { readonly json: unknown } | undefined {
  try {
    return { json: JSON.parse(Buffer.concat(body.map((frame) => Buffer.from(frame))).toString()) };
  } catch {
    return undefined;
  }
}

/** Whether a contract says nothing of a request, or its bodies are no JSON. */
function isOpen({ input = true, contentType = 'application/json' }: Facts): boolean {
  return input === true || contentType !== 'application/json';
}

function judgementOf(
  { format, Validator }: typeof Library,
  { input, version }: Facts,
  value: unknown,
  timeoutMs: number,
): Judgement {
  const dialect = dialectOf(input);
  if (dialect === undefined) {
    const why = 'its JSON Schema is of another dialect ($schema)';
    return { problems: null, isCertain: false, version, why };
  }
  // `format` is a remark, and must not refuse. The library has no option for that, and looks names up
  // here, also those that an object inherits.
  Object.setPrototypeOf(format, null);
  for (const name of Object.keys(format)) Reflect.deleteProperty(format, name);
  // The validator follows references within the schema alone, and an unknown one is an error.
  const validate = (schema: unknown): ReturnType<InstanceType<typeof Validator>['validate']> =>
    new Validator(schema as Library.Schema, dialect, false).validate(value);
  const check = (): Pick<Judgement, 'problems' | 'isCertain'> => {
    const { errors } = validate(input);
    const isCertain = errors.length > 0 && !validate(lenient(input)).valid;
    const places = errors.filter(({ keyword }) => !CONTAINERS.has(keyword));
    const problems = (places.length === 0 ? errors : places).map(({ instanceLocation, error }) => {
      const where = instanceLocation === '#' ? 'the body' : instanceLocation.slice(1);
      return `${where}: ${error === 'False boolean schema.' ? 'This is not allowed.' : error}`;
    });
    return { problems, isCertain };
  };
  try {
    // Only code that runs in a context has a limit of its time, which also ends a match of a pattern.
    const options = { timeout: timeoutMs };
    const judged = runInNewContext('check()', { check }, options) as ReturnType<typeof check>;
    return { ...judged, version, why: '' };
  } catch (error) {
    const why = `its JSON Schema fails: ${messageOf(error)}`;
    return { problems: null, isCertain: false, version, why };
  }
}

/** `undefined`: the library does not know it. */
function dialectOf(schema: unknown): Library.SchemaDraft | undefined {
  const given = factsIn(schema)?.['$schema'];
  if (given === undefined) return '2020-12';
  if (typeof given !== 'string') return undefined;
  return DIALECTS.get(given.replace(/^https?:\/\//, '').replace(/#$/, ''));
}

function problemsText(name: string, judged: readonly Judgement[]): string {
  return judged
    .map(({ problems, version }) => {
      const which = version === undefined ? '' : `, version ${printable(version)}`;
      const all = problems ?? [];
      const lines = all
        .slice(0, PROBLEMS_MAX)
        .map((problem) => `\n  ${printable(problem.slice(0, PROBLEM_CHARACTERS_MAX))}`);
      const more = all.length > PROBLEMS_MAX ? `\n  and ${all.length - PROBLEMS_MAX} more` : '';
      return `the body does not suit the contract of ${name}${which}:${lines.join('')}${more}`;
    })
    .join('\n');
}
