/** `majordomo completion`: completion scripts for shells, generated from the commands. */
import { Argument, type Command } from 'commander';

import { liveNamesOf } from './complete.js';
import { type Done, examples } from '../common/options.js';
import type { HelpedProgram } from '../program.js';
import { print } from '../common/output.js';

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
  /** The possible values of an option; empty: a file, or anything. */
  readonly values: readonly string[];
  readonly takesValue: boolean;
  /** Whether the option's value is a name that the broker knows. */
  readonly isLive: boolean;
}

/** A command, by its words: `ha status`. */
interface CommandPath {
  readonly path: string;
  readonly about: string;
  readonly words: readonly Word[];
  /** Whether an argument of the command is a name that the broker knows. */
  readonly isLive: boolean;
}

/** What can stand beside commands. */
const FIRST: readonly Word[] = (
  [
    ['help', 'show help for a command'],
    ['--help', 'show help'],
    ['--version', 'print the version'],
  ] as const
).map(([word, about]) => plain(word, about));

export function define(command: Command, _done: Done, { describe }: HelpedProgram): void {
  command
    .addArgument(new Argument('<shell>', 'which').choices(['bash', 'zsh', 'fish']))
    .addHelpText('after', examples(EXAMPLES))
    .action(async (shell: Shell) => {
      const all = await describe();
      const places = all.flatMap((each) => commandPathsOf(each, each.name()));
      const words = [...all.map(nameOf), ...FIRST];
      const first: CommandPath = { path: '', about: '', words, isLive: false };
      await print(SCRIPTS[shell]([first, ...places]));
    });
}

function nameOf(command: Command): Word {
  return plain(command.name(), command.summary());
}

/** A word without a value. */
function plain(word: string, about: string): Word {
  return { word, about, values: [], takesValue: false, isLive: false };
}

/** A command and its subcommands. */
function commandPathsOf(command: Command, path: string): CommandPath[] {
  const options = command.options.flatMap(({ long, short, description, argChoices, required }) =>
    [long, short].flatMap((word): Word[] => {
      if (typeof word !== 'string') return [];
      const isLive = long !== undefined && liveNamesOf(long) !== null;
      // Of jsonpath=EXPR what does not change.
      const values = (argChoices ?? []).map((value) => value.replace(/=[A-Z]+$/, '='));
      return [{ word, about: description, values, takesValue: required, isLive }];
    }),
  );
  const values = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
  const words = [
    ...command.commands.map(nameOf),
    ...values.map((word) => plain(word, '')),
    ...options,
    plain('--help', 'show help'),
  ];
  const below = command.commands.flatMap((each) => commandPathsOf(each, `${path} ${each.name()}`));
  const isLive = command.registeredArguments.some((each) => liveNamesOf(each.name()) !== null);
  return [{ path, about: command.summary(), words, isLive }, ...below];
}

const SCRIPTS: Readonly<Record<Shell, (places: readonly CommandPath[]) => string>> = {
  bash,
  zsh,
  fish,
};

/** Puts a text in single quotes, which all three shells understand. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** What `values` or `words` have in a script at a place where the broker is asked. */
const LIVE = '"$(_majordomo_live)"';

/** Patterns of `path:option`, and the possible values. */
function valueCases(places: readonly CommandPath[]): string {
  return places
    .flatMap(({ path, words }) =>
      words
        .filter(({ takesValue }) => takesValue)
        .map(
          ({ word, values, isLive }) =>
            `    ${quoted(`${path}:${word}`)}) values=${isLive ? LIVE : quoted(values.join(' '))} ;;`,
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
  const cases = places.map(({ path, words, isLive }) => {
    const fixed = quoted(words.map(({ word }) => word).join(' '));
    return `    ${quoted(path)}) words=${fixed}${isLive ? ' live=1' : ''} ;;`;
  });
  return `# bash completion for majordomo
# Services and uuids of the broker that the line names. (Bash takes words apart at colons.)
_majordomo_live() {
  local -a line
  read -ra line <<< "\${COMP_LINE:0:COMP_POINT}"
  [[ "\${COMP_LINE:COMP_POINT-1:1}" == ' ' ]] && line+=('')
  "\${line[0]}" complete "\${line[@]:1}" 2>/dev/null
}
_majordomo() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" words='' values=- live=''
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
  [[ -z "$live" || "$current" == -* ]] || words+=" "${LIVE}
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [[ \${#COMPREPLY[@]} -gt 0 || "$current" == -* ]] || COMPREPLY=($(compgen -f -- "$current"))
}
complete -o filenames -F _majordomo majordomo
`;
}

function zsh(places: readonly CommandPath[]): string {
  const described = ({ word, about }: Word): string =>
    quoted(`${word.replaceAll(':', String.raw`\:`)}:${about.replaceAll(':', String.raw`\:`)}`);
  const cases = places.map(({ path, words, isLive }) => {
    const all = `${words.map(described).join(' ')}${isLive ? ` \${(f)${LIVE}}` : ''}`;
    return `    ${quoted(path)}) words_here=(${all}) ;;`;
  });
  return `#compdef majordomo
# Services and uuids of the broker that the line names.
_majordomo_live() { "\${words[1]}" complete "\${(@)words[2,CURRENT]}" 2>/dev/null }
_majordomo() {
  local previous="\${words[CURRENT-1]}" values=-
  local -a words_here
${pathLoop(places, `"\${(@)words[2,CURRENT-1]}"`)}
  case "$place:$previous" in
${valueCases(places)}
  esac
  if [[ "$values" != - ]]; then
    if [[ -n "$values" ]]; then compadd -- \${=values}
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

const FISH_LIVE = '(__majordomo_live)';

function fish(places: readonly CommandPath[]): string {
  const lines = places.flatMap(({ path, words }) =>
    words.map(({ word, about, values, takesValue, isLive }) => {
      const flags = word.startsWith('--')
        ? `-l ${word.slice(2)}`
        : word.startsWith('-')
          ? `-s ${word.slice(1)}`
          : `-f -a ${quoted(word)}`;
      const value = !takesValue
        ? ''
        : isLive || values.length > 0
          ? ` -x -a ${quoted(isLive ? FISH_LIVE : values.join(' '))}`
          : ' -r';
      const condition = quoted(`test (__majordomo_path) = "${path}"`);
      return `complete -c majordomo -n ${condition} ${flags}${value} -d ${quoted(about)}`;
    }),
  );
  const live = places
    .filter(({ isLive }) => isLive)
    .map(({ path }) => {
      const condition = quoted(`test (__majordomo_path) = "${path}"`);
      return `complete -c majordomo -n ${condition} -f -a ${quoted(FISH_LIVE)}`;
    });
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
# Services and uuids of the broker that the line names.
function __majordomo_live
  set -l line (commandline -opc)
  $line[1] complete $line[2..-1] (commandline -ct) 2>/dev/null
end
${[...lines, ...live].join('\n')}
`;
}
