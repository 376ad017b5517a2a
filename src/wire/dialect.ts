import {
  COMMAND_FRAMES,
  COMMAND_TEXTS,
  EMPTY,
  type MdpVersion,
  WORKER_01,
  WORKER_02,
} from './mdp.js';

/**
 * The form of messages without a delimiter and without MDP headers (a DEALER or ROUTER): a Paranoid
 * Pirate worker (6/PPP), or a Freelance client (10/FLP).
 */
export const BARE = 4;
/**
 * The form of messages with the empty delimiter of a REQ socket and nothing more: a Simple Pirate
 * worker, or a plain client.
 */
export const DELIMITED = 3;

/** MDP 0.2 after an empty frame, which some libraries' workers send and expect (D101). */
export const DELIMITED_02 = 5;

/** The form of a Paranoid Pirate whose signals are the words READY and HEARTBEAT (D113). */
export const WORDS = 6;

/** MDP 0.1 from a worker whose commands are two digits, such as `01` (D113). */
export const TEXT_01 = 7;
/** MDP 0.2 from a peer whose commands are two digits (D113). */
export const TEXT_02 = 8;
/** Messages in `TEXT_02` after an empty frame: only of workers. */
const TEXT_DELIMITED_02 = 9;

/**
 * MDP 0.2 from a client that uses the commands of workers, and expects no name of a service in
 * replies: PyPI's majortomo (D113).
 */
export const WORKER_NUMBERS = 10;

/** The forms with MDP headers. */
export type MdpDialect =
  MdpVersion | typeof DELIMITED_02 | typeof TEXT_01 | typeof TEXT_02 | typeof TEXT_DELIMITED_02;

/** The forms without MDP headers, as the first message of a connection shows them. */
export type ServiceDialect = typeof DELIMITED | typeof BARE;

/**
 * The form of a peer's messages: one of `MDP_FORMS`, `WORKER_NUMBERS` or, on a listener for one service, a form without
 * MDP headers.
 */
export type Dialect = MdpDialect | ServiceDialect | typeof WORDS | typeof WORKER_NUMBERS;

/**
 * Whether `MDP_FORMS` has this form. `WORKER_NUMBERS` is not among them, although its messages have MDP headers: its
 * commands and replies are others.
 */
export function isMdp(dialect: Dialect): dialect is MdpDialect {
  return (
    dialect <= 2 || dialect === DELIMITED_02 || (dialect >= TEXT_01 && dialect < WORKER_NUMBERS)
  );
}

interface MdpForm {
  readonly version: MdpVersion;
  /** The frames before the command of a worker. */
  readonly before: readonly Buffer[];
  /** The frame of each command. */
  readonly commands: readonly Buffer[];
  /** The form of a worker that differs by commands of two digits. */
  readonly asText: MdpDialect;
}

const FORM_01: MdpForm = {
  version: 1,
  before: [EMPTY, WORKER_01],
  commands: COMMAND_FRAMES,
  asText: TEXT_01,
};
const FORM_02: MdpForm = {
  version: 2,
  before: [WORKER_02],
  commands: COMMAND_FRAMES,
  asText: TEXT_02,
};
const FORM_DELIMITED_02: MdpForm = {
  ...FORM_02,
  before: [EMPTY, WORKER_02],
  asText: TEXT_DELIMITED_02,
};

export const MDP_FORMS: Readonly<Record<MdpDialect, MdpForm>> = {
  1: FORM_01,
  2: FORM_02,
  [DELIMITED_02]: FORM_DELIMITED_02,
  [TEXT_01]: { ...FORM_01, commands: COMMAND_TEXTS },
  [TEXT_02]: { ...FORM_02, commands: COMMAND_TEXTS },
  [TEXT_DELIMITED_02]: { ...FORM_DELIMITED_02, commands: COMMAND_TEXTS },
};

/** Whether clients of this form speak MDP/0.2, so that an answer may have parts. */
export function isVersion02(dialect: Dialect): boolean {
  return dialect === WORKER_NUMBERS || (isMdp(dialect) && MDP_FORMS[dialect].version === 2);
}

/** What precedes the message itself where no protocol is spoken. */
export function plainHead(dialect: Dialect): readonly Buffer[] {
  return dialect === DELIMITED ? [EMPTY] : [];
}

/** What precedes the token in a message to or from a worker of this form. */
export function workerHead(dialect: Dialect, command: number): readonly Buffer[] {
  if (!isMdp(dialect)) return plainHead(dialect);
  const { before, commands } = MDP_FORMS[dialect];
  return [...before, commands[command] ?? EMPTY];
}

/** A table with an entry for each form. */
export function byDialect<T>(entry: (dialect: Dialect) => T): Readonly<Record<Dialect, T>> {
  return {
    1: entry(1),
    2: entry(2),
    [DELIMITED]: entry(DELIMITED),
    [BARE]: entry(BARE),
    [DELIMITED_02]: entry(DELIMITED_02),
    [WORDS]: entry(WORDS),
    [TEXT_01]: entry(TEXT_01),
    [TEXT_02]: entry(TEXT_02),
    [TEXT_DELIMITED_02]: entry(TEXT_DELIMITED_02),
    [WORKER_NUMBERS]: entry(WORKER_NUMBERS),
  };
}
