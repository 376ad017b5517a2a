/** `majordomo complete`: for completion scripts, the names that a running broker knows. */
import type { Command } from 'commander';

import { Broker } from '../connection/broker.js';
import type { Done } from '../common/options.js';
import { print } from '../common/output.js';
import type { HelpedProgram } from '../program.js';

/** What can stand at a position. */
export type LiveNames = 'services' | 'uuids';

/** A user waits for the shell meanwhile. */
const TIMEOUT_MS = 1000;
const UUIDS_MAX = 200;
/** Names that a shell takes as one word, and does not take apart. */
const PLAIN_WORD = /^[\w.@%+,/-]+$/;
/** States of the requests that a command can act on; others act on all. */
const STATES: Readonly<Record<string, readonly string[]>> = {
  retry: ['dead'],
  cancel: ['pending', 'dispatched', 'dead'],
};

/** The names that an argument or an option of a command takes; `null`: others. */
export function liveNamesOf(argument: string): LiveNames | null {
  if (['service', '--service'].includes(argument)) return 'services';
  return ['uuid', '--result', '--close'].includes(argument) ? 'uuids' : null;
}

export function define(command: Command, _done: Done, { describe }: HelpedProgram): void {
  command
    .argument('[words...]', 'the words of the line after majordomo; the last one is incomplete')
    .passThroughOptions()
    .action(async (words: readonly string[]) => {
      const names = await namesFor(words, describe).catch(() => []);
      // A message would end up in the line that is being typed.
      if (names.length > 0) await print(`${names.join('\n')}\n`);
    });
}

async function namesFor(
  words: readonly string[],
  describe: HelpedProgram['describe'],
): Promise<readonly string[]> {
  const [first = '', ...rest] = words.slice(0, -1);
  let [command] = await describe(first);
  while (command !== undefined) {
    const next: Command | undefined = command.commands.find((sub) => sub.name() === rest[0]);
    if (next === undefined) break;
    command = next;
    rest.shift();
  }
  if (command === undefined) return [];
  const option = command.options.find(
    ({ long, required }) => required && long !== undefined && long === rest.at(-1),
  );
  const { operands } = command
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .parseOptions(option === undefined ? rest : rest.slice(0, -1));
  const argument = option?.long ?? command.registeredArguments[operands.length]?.name() ?? '';
  const broker = new Broker({ ...command.opts(), timeoutMs: TIMEOUT_MS });
  const kind = liveNamesOf(argument);
  if (kind === null) return [];
  const names = kind === 'services' ? await services(broker) : await uuids(broker, command.name());
  return names.filter((name) => PLAIN_WORD.test(name));
}

async function services(broker: Broker): Promise<readonly string[]> {
  const all = await broker.state((source) => source.services());
  return all.map(({ service }) => String(service)).sort();
}

/** The newest; without a token they are shortened, and cannot be used. */
async function uuids(broker: Broker, action: string): Promise<readonly string[]> {
  const admin = await broker.admin();
  const pages = (STATES[action] ?? [null]).map((state) => {
    const query = { limit: String(UUIDS_MAX), ...(state === null ? {} : { state }) };
    return admin.page('/api/v1/titanic/requests', query);
  });
  const items = (await Promise.all(pages)).flatMap((page) => page.items);
  return items.map(({ uuid }) => String(uuid)).filter((uuid) => uuid.length === 32);
}
