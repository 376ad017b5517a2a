/** `majordomo services export`: the contracts of all services, for tools that read AsyncAPI. */
import type { Command } from 'commander';

import { codeOf, MajordomoError, messageOf } from '../../core/errors.js';
import { terminalSafeJson, unescapeName } from '../../core/escape.js';
import { factsIn, listIn } from '../common/facts.js';
import { formatted } from '../common/formats.js';
import { addSubcommand, examples } from '../common/options.js';
import { print, printable, say } from '../common/output.js';
import {
  addLookOptions,
  look,
  type LookOptions,
  type StateSource,
  WHERE_TEXT,
} from '../connection/broker-state.js';
import { type Announced, asyncApiOf } from './asyncapi.js';

interface ExportOptions extends LookOptions {
  /** `true`: standard output. */
  readonly asyncapi: string | true;
}

const EXAMPLES = [
  ['majordomo services export --asyncapi', 'on standard output'],
  ['majordomo services export --asyncapi services.json', 'into a new file'],
] as const;

const AFTER = `${examples(EXAMPLES)}
Writes a document of AsyncAPI 3.0.0 with every service of this broker whose workers announced a contract. It describes
the workers: each operation receives a request, and replies. A service with different contracts has the messages of
each, and a warning names it. FILE is not overwritten.
Exit status 74 if FILE exists or cannot be written.
${WHERE_TEXT}`;

/** Maximum size of all contracts in one document, in characters of JSON. */
const CONTRACTS_MAX = 64 * 1024 * 1024;
const FILE_MODE = 0o644;

export function defineExport(parent: Command): void {
  const about = 'write the contracts of all services as an AsyncAPI document';
  const command = addSubcommand(parent, 'export', about).requiredOption(
    '--asyncapi [file]',
    'as AsyncAPI 3.0.0 in JSON, into this new file (default: standard output)',
  );
  addLookOptions(command)
    .addHelpText('after', AFTER)
    .action(async (options: ExportOptions) => {
      await look(options, async (broker) => {
        const announced = await announcedAt(broker);
        const endpoint = await endpointOf(broker);
        const odd = (service: string): void => {
          warn(`${printable(service)}: what is not JSON Schema in its contract is left out`);
        };
        const document = asyncApiOf(await broker.status(), endpoint, announced, odd);
        const view = { text: () => `${terminalSafeJson(document, 2)}\n` };
        const text = await formatted(options.output, document, view);
        await save(text, options.asyncapi);
      });
    });
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

/** @throws ERR_REQUEST_FAILED if they are too large, and what asking throws */
async function announcedAt(broker: StateSource): Promise<readonly Announced[]> {
  const found: Announced[] = [];
  let characters = 0;
  for (const { service, contracts: count } of await broker.services()) {
    const name = typeof service === 'string' ? unescapeName(service) : null;
    if (typeof service !== 'string' || name === null || !(Number(count) > 0)) continue;
    const facts = await broker.contract(name).catch(noneIfGone);
    const contracts = listIn(facts?.['contracts']).map(({ contract }) => factsIn(contract) ?? {});
    if (contracts.length === 0) continue;
    if (contracts.length > 1) {
      warn(`${printable(service)} has ${contracts.length} different contracts: all are written`);
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
