/** `majordomo services export`: the contracts of all services, for tools that read AsyncAPI, or as types of a program. */
import type { Command } from 'commander';

import { codeOf, MajordomoError, messageOf } from '../../core/errors.js';
import { terminalSafeJson, unescapeName } from '../../core/escape.js';
import { factsIn, listIn } from '../common/facts.js';
import { formatted } from '../common/formats.js';
import { addSubcommand, examples, usage } from '../common/options.js';
import { print, printable, say } from '../common/output.js';
import { Broker } from '../connection/broker.js';
import { addLookOptions, type AskOptions, WHERE_TEXT } from '../connection/options.js';
import type { StateSource } from '../connection/state.js';
import { type Announced, asyncApiOf } from './asyncapi.js';

/** What is written, with the file; `true`: standard output. */
const KINDS = ['asyncapi', 'typescript', 'python'] as const;
type Kind = (typeof KINDS)[number];
type ExportOptions = AskOptions & Readonly<Partial<Record<Kind, string | true>>>;

const EXAMPLES = [
  ['majordomo services export --asyncapi', 'on standard output'],
  ['majordomo services export --asyncapi services.json', 'into a new file'],
  ['majordomo services export --typescript services.ts', 'the types, for a client or worker'],
  ['majordomo services export --python services.py', 'dataclasses, for one in Python'],
] as const;

const AFTER = `${examples(EXAMPLES)}
Writes every service of this broker whose workers announced a contract, into FILE, which is not overwritten.
--asyncapi describes the workers: each operation receives a request, and replies. A service with different contracts
has the messages of each, and a warning names it.
--typescript writes \`services\`, the option \`contract\` of client and worker, and --python a TypedService for each; what
their types cannot say is \`unknown\` there, and \`Any\`. Services whose bodies are not JSON are left out, and a service with
different contracts has the types of the first; a warning names both.
Exit status 74 if FILE exists or cannot be written.
${WHERE_TEXT}`;

/** Maximum size of all contracts in one document, in characters of JSON. */
const CONTRACTS_MAX = 64 * 1024 * 1024;
const FILE_MODE = 0o644;

export function defineExport(parent: Command): void {
  const about = 'write the contracts of all services as an AsyncAPI document, or as types';
  const where = ', into this new file (default: standard output)';
  const command = addSubcommand(parent, 'export', about)
    .option('--asyncapi [file]', `as AsyncAPI 3.0.0 in JSON${where}`)
    .option('--typescript [file]', `as types of TypeScript${where}`)
    .option('--python [file]', `as dataclasses of Python${where}`);
  addLookOptions(command)
    .addHelpText('after', AFTER)
    .action(async (options: ExportOptions) => {
      const [kind, another] = KINDS.filter((each) => options[each] !== undefined);
      if (kind === undefined || another !== undefined) {
        throw usage('give one of --asyncapi, --typescript and --python');
      }
      await new Broker(options).state(async (broker) => {
        const made =
          kind === 'asyncapi' ? documentAt(broker, options) : moduleAt(broker, kind, options);
        await save(await made, options[kind] ?? true);
      });
    });
}

async function documentAt(broker: StateSource, { output }: AskOptions): Promise<string> {
  const announced = await announcedAt(broker, 'all are written');
  const endpoint = await endpointOf(broker);
  const odd = (service: string): void => {
    warn(`${printable(service)}: what is not JSON Schema in its contract is left out`);
  };
  const document = asyncApiOf(await broker.status(), endpoint, announced, odd);
  return await formatted(output, document, {
    text: () => `${terminalSafeJson(document, 2)}\n`,
  });
}

async function moduleAt(broker: StateSource, kind: Kind, { output }: AskOptions): Promise<string> {
  const announced = await announcedAt(broker, 'the types are those of the first');
  const { moduleOf, PYTHON, TYPESCRIPT } = await import('./service-types.js');
  const odd = (service: string, why: string): void => {
    warn(`${printable(service)} is left out: ${why}`);
  };
  const written = moduleOf(kind === 'python' ? PYTHON : TYPESCRIPT, announced, odd);
  return await formatted(output, written, { text: () => written });
}

/** @throws ERR_OUTPUT, also if the file exists */
async function save(text: string, file: string | true): Promise<void> {
  if (file === true) {
    await print(text);
    return;
  }
  const { write } = await import('../keys/key-files.js');
  write(file, text, FILE_MODE);
}

/**
 * @param ofSeveral what becomes of different contracts of a service
 * @throws ERR_REQUEST_FAILED if they are too large, and what asking throws
 */
async function announcedAt(broker: StateSource, ofSeveral: string): Promise<readonly Announced[]> {
  const found: Announced[] = [];
  let characters = 0;
  for (const { service, contracts: count } of await broker.services()) {
    const name = typeof service === 'string' ? unescapeName(service) : null;
    if (typeof service !== 'string' || name === null || !(Number(count) > 0)) continue;
    const facts = await broker.contract(name).catch(noneIfGone);
    const contracts = listIn(facts?.['contracts']).map(({ contract }) => factsIn(contract) ?? {});
    if (contracts.length === 0) continue;
    if (contracts.length > 1) {
      warn(`${printable(service)} has ${contracts.length} different contracts: ${ofSeveral}`);
    }
    characters += JSON.stringify(contracts).length;
    if (characters > CONTRACTS_MAX) {
      const text = 'the contracts of this broker have more than 64 MiB: too many for one document';
      throw new MajordomoError('ERR_REQUEST_FAILED', text);
    }
    found.push({ service, contracts });
  }
  if (found.length === 0) warn('no service of this broker has a contract');
  return found;
}

/** Returns `null` for status 404: the workers of a service left after the list was made. @throws others */
function noneIfGone(error: unknown): null {
  const { details } = error as { readonly details?: unknown };
  if (factsIn(details)?.['status'] === 404) return null;
  throw error;
}

/** `null`, and a warning: the node does not report one that can be used here. */
async function endpointOf(broker: StateSource): Promise<string | null> {
  try {
    return await broker.endpoint();
  } catch (error) {
    if (codeOf(error) !== 'ERR_NOT_LEARNT') throw error;
    warn(`the document has no server: ${messageOf(error)}`);
    return null;
  }
}

function warn(text: string): void {
  say(`warning: ${text}`);
}
