/** A long run as Markdown: a section of docs/performance.md, which stays when the rest is written again. */
import { table, whole } from '../markdown.js';
import { type Checker, KINDS } from './checker.js';
import { type Figure, FIGURES, type Judgement, type Series } from './samples.js';

const BEGIN =
  '<!-- Written by `npm run soak -- --hours N --write`: run that instead of editing this. -->';
const END = '<!-- The end of what that wrote. -->';

const ABOUT = `## Over hours

\`npm run soak -- --hours N\` runs a pair under a steady load: plain and durable requests, clients and workers that come and go
(some are killed, or stop), schedules, webhooks, programs over HTTP, a map. Every ten minutes node A is ended, by SIGTERM and
by SIGKILL in turn, and half way between it is made active again. Node B lives through the run. What is closed is forgotten
after two minutes (\`titanic.keyTtlMs\`), so that the store stops growing.`;

/** How a restart went. */
export interface Restart {
  readonly atMs: number;
  readonly what: string;
  /** The longest time without any reply to a plain request. */
  readonly gapMs: number;
  readonly inSyncMs: number;
}

export interface SoakReport {
  readonly facts: readonly string[];
  readonly nodes: readonly Series[];
  readonly load: readonly Series[];
  readonly checker: Checker;
  readonly restarts: readonly Restart[];
  /** Events of the logs that are warnings or errors, and how many there were. */
  readonly logged: ReadonlyMap<string, number>;
  readonly verdict: string;
}

export function renderSoak(report: SoakReport): string {
  const { facts, nodes, load, checker, restarts, logged, verdict } = report;
  const lags = nodes.map(({ name, lagMaxMs }) => `${Math.round(lagMaxMs)} ms of ${name}`);
  const warnings = [...logged].map(([event, count]) => `${whole(count)} × \`${event}\``);
  return [
    BEGIN,
    ABOUT,
    facts.map((fact) => `- ${fact}`).join('\n'),
    '### Growth',
    growthTable([...nodes, ...load]),
    `First and last are medians of the time between two restarts in which the process had the same role; what comes before the\nfirst restart is left out, and for resident memory the first half hour. The slope is that of these medians, by least squares within\neach role, with its standard error. Too much is a slope that lies two of these above the limit, which is 1 MB or one descriptor;\na figure whose slope may be above the limit or not is inconclusive. The longest delay of an event loop was ${lags.join(', ')}.`,
    '### What was done',
    countTable(checker),
    '### Restarts',
    restartTable(restarts),
    '### Verdict',
    verdict,
    ...checker.shown.map((text) => `- ${text}`),
    ...(warnings.length === 0 ? [] : [`The logs of both nodes have ${warnings.join(', ')}.`]),
    END,
  ].join('\n\n');
}

function growthTable(all: readonly Series[]): string {
  const lines = all.flatMap((series) =>
    series.growths.map(({ name, first, last, perHour, error }) => {
      const shown = (value: number): string =>
        name === 'descriptors' ? whole(value) : amount(name, value);
      const grown = `${perHour > 0 ? '+' : ''}${amount(name, perHour)} ± ${amount(name, error)}`;
      return [series.name, FIGURES[name].title, shown(first), shown(last), grown];
    }),
  );
  return table(['process', '', 'first', 'last', 'in an hour'], lines);
}

function countTable(checker: Checker): string {
  const durable = KINDS.flatMap((kind) => {
    const { stored, done, told, hooked } = checker.tallies[kind];
    const whose = kind === 'sdk' ? 'clients' : 'programs';
    return [
      [`durable requests of ${whose}: acknowledged`, whole(stored.count)],
      [`durable requests of ${whose}: result fetched, and closed`, whole(done.count)],
      [`webhooks of these: due, told`, `${whole(hooked.count)}, ${whole(told.count)}`],
    ];
  });
  const schedules = [...checker.schedules.values()].map(({ seconds, count, skipped }) => [
    `due times every ${seconds} s: stored, passed over while the pair changed`,
    `${whole(count)}, ${whole(skipped)}`,
  ]);
  const counts = [...checker.counts]
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([name, count]) => [name, whole(count)]);
  return table(
    ['', ''],
    [
      ...durable,
      [
        'executions beyond the first, as is promised of restarts and killed workers',
        whole(checker.promised),
      ],
      ['webhooks that came again, as is promised', whole(checker.toldAgain)],
      ...schedules,
      ...counts,
      ['lost, or twice beyond what is promised', whole(checker.wrongs)],
    ],
  );
}

function restartTable(restarts: readonly Restart[]): string {
  return table(
    ['minute', 'what', 'without a reply', 'in sync after'],
    restarts.map(({ atMs, what, gapMs, inSyncMs }) => [
      (atMs / 60_000).toFixed(1),
      what,
      `${(gapMs / 1000).toFixed(2)} s`,
      `${(inSyncMs / 1000).toFixed(1)} s`,
    ]),
  );
}

function amount(name: Figure, value: number): string {
  return name === 'descriptors' ? value.toFixed(2) : `${(value / 1e6).toFixed(2)} MB`;
}

/**
 * Says what was found, and of what grows no more than can be told what would have been seen.
 * @param judged the nodes and the processes of the SDK
 * @param isJudged the run took long enough to say something about an hour
 */
export function verdictOf(
  { wrongs }: Pick<Checker, 'wrongs'>,
  judged: readonly Pick<Series, 'name' | 'judgements'>[],
  isJudged: boolean,
): { readonly isGood: boolean; readonly text: string } {
  const lost =
    wrongs === 0
      ? 'Nothing was lost, nothing was done twice beyond what is promised.'
      : `**${wrongs} wrong.**`;
  if (!isJudged) {
    return {
      isGood: wrongs === 0,
      text: `${lost} Growth is not judged in less than an hour.`,
    };
  }
  const all = judged.flatMap(({ name: process, judgements }) =>
    judgements.map(({ name, outcome, seen }) => ({
      outcome,
      what: `${FIGURES[name].title} of ${process}`,
      seen: amount(name, seen),
    })),
  );
  const of = (outcome: Judgement['outcome']): typeof all =>
    all.filter((each) => each.outcome === outcome);
  const [grows, unknown, open] = [of('grows'), of('not measured'), of('open')];
  const lines = [
    ...grows.map(({ what }) => `- **${what}: it grows too fast**`),
    ...unknown.map(({ what }) => `- **${what}: not measured for long enough**`),
    ...open.map(({ what, seen }) => `- ${what}: inconclusive, it would have seen ${seen} an hour`),
  ];
  const steady = of('steady').length;
  const sum = `Of ${all.length} figures ${steady} surely stay within their limit${lines.length === 0 ? '.' : ':'}`;
  return {
    isGood: wrongs === 0 && grows.length === 0 && unknown.length === 0,
    text: [`${lost} ${sum}`, ...(lines.length === 0 ? [] : [lines.join('\n')])].join('\n\n'),
  };
}

/** The section that a document has. */
export function sectionOf(document: string): string {
  const [begin, end] = [document.indexOf(BEGIN), document.indexOf(END)];
  return begin < 0 || end < begin ? '' : document.slice(begin, end + END.length);
}

/** The document with this section, at its end if it has none. */
export function withSection(document: string, section: string): string {
  if (section === '') return document;
  const old = sectionOf(document);
  return old === '' ? `${document}\n${section}\n` : document.replace(old, () => section);
}
