/** `majordomo completion`: completion scripts for shells, generated from the commands. */
import { Argument, type Command } from 'commander';

import { EXIT } from '../core/exit.js';
import { type Done, examples } from './options.js';
import { print } from './output.js';

const EXAMPLES = [
  ['source <(majordomo completion bash)', 'for this bash; in ~/.bashrc: for every bash'],
  ['majordomo completion zsh > ~/.zfunc/_majordomo', 'with ~/.zfunc in fpath, before compinit'],
  [
    'majordomo completion fish > ~/.config/fish/completions/majordomo.fish',
    'fish loads it by itself',
  ],
] as const;

type Shell = 'bash' | 'zsh' | 'fish';

/** A word that can stand at a position of the command line. */
interface Word {
  readonly word: string;
  readonly about: string;
  /** Of an option: possible values; empty: a file, or anything. */
  readonly values: readonly string[];
  readonly takesValue: boolean;
}

/** A command, by its words: `ha status`. */
interface CommandPath {
  readonly path: string;
  readonly about: string;
  readonly words: readonly Word[];
}

/** What can stand beside commands. */
const FIRST: readonly Word[] = (
  [
    ['help', 'show help for a command'],
    ['--help', 'show help'],
    ['--version', 'print the version'],
  ] as const
).map(([word, about]) => ({ word, about, values: [], takesValue: false }));

export function defineCompletion(
  command: Command,
  done: Done,
  commands: () => Promise<readonly Command[]>,
): void {
  command
    .addArgument(new Argument('<shell>', 'which').choices(['bash', 'zsh', 'fish']))
    .addHelpText('after', examples(EXAMPLES))
    .action(async (shell: Shell) => {
      const all = await commands();
      const places = all.flatMap((each) => commandPathsOf(each, each.name()));
      const first: CommandPath = { path: '', about: '', words: [...all.map(nameOf), ...FIRST] };
      await print(SCRIPTS[shell]([first, ...places]));
      done(EXIT.done);
    });
}

function nameOf(command: Command): Word {
  return { word: command.name(), about: command.summary(), values: [], takesValue: false };
}

/** A command and its subcommands. */
function commandPathsOf(command: Command, path: string): CommandPath[] {
  const options = command.options.flatMap(({ long, short, description, argChoices, required }) =>
    [long, short].flatMap((word): Word[] => {
      if (typeof word !== 'string') return [];
      return [{ word, about: description, values: argChoices ?? [], takesValue: required }];
    }),
  );
  const values = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
  const words = [
    ...command.commands.map(nameOf),
    ...values.map((word): Word => ({ word, about: '', values: [], takesValue: false })),
    ...options,
    { word: '--help', about: 'show help', values: [], takesValue: false },
  ];
  const below = command.commands.flatMap((each) => commandPathsOf(each, `${path} ${each.name()}`));
  return [{ path, about: command.summary(), words }, ...below];
}

const SCRIPTS: Readonly<Record<Shell, (places: readonly CommandPath[]) => string>> = {
  bash,
  zsh,
  fish,
};

/** In single quotes, which all three shells understand. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** Patterns of `path:option`, and the possible values. */
function valueCases(places: readonly CommandPath[]): string {
  return places
    .flatMap(({ path, words }) =>
      words
        .filter(({ takesValue }) => takesValue)
        .map(
          ({ word, values }) =>
            `    ${quoted(`${path}:${word}`)}) values=${quoted(values.join(' '))} ;;`,
        ),
    )
    .join('\n');
}

/**
 * The words of the line that make up the command, as `place` (zsh uses `path` itself), for bash and
 * zsh.
 */
function pathLoop(places: readonly CommandPath[], words: string): string {
  const known = places.map(({ path }) => path).filter((path) => path !== '');
  return `  local place='' word next
  for word in ${words}; do
    next="\${place:+$place }$word"
    case "$next" in
      ${known.map(quoted).join('|')}) place="$next" ;;
      *) break ;;
    esac
  done`;
}

function bash(places: readonly CommandPath[]): string {
  const cases = places.map(
    ({ path, words }) =>
      `    ${quoted(path)}) words=${quoted(words.map(({ word }) => word).join(' '))} ;;`,
  );
  return `# bash completion for majordomo
_majordomo() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" words='' values=-
${pathLoop(places, `"\${COMP_WORDS[@]:1:COMP_CWORD-1}"`)}
  case "$place:$previous" in
${valueCases(places)}
  esac
  if [[ "$values" != - ]]; then
    if [[ -n "$values" ]]; then COMPREPLY=($(compgen -W "$values" -- "$current"))
    else COMPREPLY=($(compgen -f -- "$current")); fi
    return
  fi
  case "$place" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [[ \${#COMPREPLY[@]} -gt 0 || "$current" == -* ]] || COMPREPLY=($(compgen -f -- "$current"))
}
complete -o filenames -F _majordomo majordomo
`;
}

function zsh(places: readonly CommandPath[]): string {
  const described = ({ word, about }: Word): string =>
    quoted(`${word.replaceAll(':', String.raw`\:`)}:${about.replaceAll(':', String.raw`\:`)}`);
  const cases = places.map(
    ({ path, words }) => `    ${quoted(path)}) words_here=(${words.map(described).join(' ')}) ;;`,
  );
  return `#compdef majordomo
_majordomo() {
  local previous="\${words[CURRENT-1]}" values=-
  local -a words_here
${pathLoop(places, `"\${(@)words[2,CURRENT-1]}"`)}
  case "$place:$previous" in
${valueCases(places)}
  esac
  if [[ "$values" != - ]]; then
    if [[ -n "$values" ]]; then compadd -- \${(s: :)values}
    else _files; fi
    return
  fi
  case "$place" in
${cases.join('\n')}
  esac
  _describe 'majordomo' words_here || _files
}
if [[ "\${funcstack[1]}" == _majordomo ]]; then _majordomo "$@"; else compdef _majordomo majordomo; fi
`;
}

function fish(places: readonly CommandPath[]): string {
  const lines = places.flatMap(({ path, words }) =>
    words.map(({ word, about, values, takesValue }) => {
      const flags = word.startsWith('--')
        ? `-l ${word.slice(2)}`
        : word.startsWith('-')
          ? `-s ${word.slice(1)}`
          : `-f -a ${quoted(word)}`;
      const value = !takesValue
        ? ''
        : values.length > 0
          ? ` -x -a ${quoted(values.join(' '))}`
          : ' -r';
      const condition = quoted(`test (__majordomo_path) = "${path}"`);
      return `complete -c majordomo -n ${condition} ${flags}${value} -d ${quoted(about)}`;
    }),
  );
  const known = places.map(({ path }) => path).filter((path) => path !== '');
  return `# fish completion for majordomo
function __majordomo_path
  set -l path ''
  for word in (commandline -opc)[2..-1]
    set -l next (string trim -- "$path $word")
    contains -- $next ${known.map(quoted).join(' ')}; or break
    set path $next
  end
  echo "$path"
end
${lines.join('\n')}
`;
}
