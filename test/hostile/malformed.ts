/** Messages that no clause allows: each is malformed whatever the state of its sender. */

/** Frames, bytes as latin-1 characters. */
export type Message = readonly string[];

const LONG = 'n'.repeat(256);
const BYTES: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  String.fromCharCode(byte),
);

interface Command {
  readonly command: string;
  readonly frames: Message;
  /** Fewest frames after the command, most, or Infinity for a body. */
  readonly most: number;
}

const REPLY: Message = ['token', '', 'body'];

const WORKER_02: readonly Command[] = [
  { command: '\x01', frames: ['service'], most: 2 },
  { command: '\x03', frames: REPLY, most: Infinity },
  { command: '\x04', frames: REPLY, most: Infinity },
  { command: '\x05', frames: [], most: 0 },
  { command: '\x06', frames: [], most: 0 },
  { command: '\x07', frames: ['token', ''], most: 3 },
  { command: '\x08', frames: ['token', ''], most: Infinity },
];

const WORKER_01: readonly Command[] = [
  { command: '\x01', frames: ['service'], most: 2 },
  { command: '\x03', frames: REPLY, most: Infinity },
  { command: '\x04', frames: [], most: 0 },
  { command: '\x05', frames: [], most: 0 },
  { command: '\x07', frames: ['token', ''], most: 3 },
  { command: '\x08', frames: ['token', ''], most: Infinity },
];

/** Every command at every frame count that it does not have, and every byte that is none. */
function worker(prefix: Message, commands: readonly Command[]): Message[] {
  const made: Message[] = [prefix];
  for (const { command, frames, most } of commands) {
    for (let count = 0; count < frames.length; count++) {
      made.push([...prefix, command, ...frames.slice(0, count)]);
    }
    if (most === Infinity) continue;
    const filled = [...frames, ...Array.from({ length: most - frames.length }, () => '5')];
    for (let more = 1; more <= 5; more++) {
      made.push([...prefix, command, ...filled, ...Array.from({ length: more }, () => 'x')]);
    }
  }
  const known = new Set(commands.map(({ command }) => command));
  for (const byte of BYTES) {
    if (!known.has(byte)) made.push([...prefix, byte, 'token', '', 'body']);
  }
  for (const command of ['', '\x01\x01', 'READY']) made.push([...prefix, command, 'service']);
  for (const name of ['', LONG]) made.push([...prefix, '\x01', name]);
  for (const credit of ['', '0', '01', '10001', '-1', '1.5', ' 1', 'x', '9'.repeat(400)]) {
    made.push([...prefix, '\x01', 'service', credit]);
  }
  for (const reply of commands.filter(({ frames }) => frames.length > 1)) {
    made.push([...prefix, reply.command, 'token', 'not empty', 'body']);
  }
  return made;
}

function client(envelope: Message): Message[] {
  const made: Message[] = [];
  const bare01 = [...envelope, 'MDPC01'];
  const bare02 = [...envelope, 'MDPC02'];
  // Without a delimiter only 0.2 is a request (D24).
  if (envelope.length > 0) {
    // One empty frame is a probe of a ROUTER (D113).
    if (envelope.length > 1) made.push(envelope);
    made.push(bare01, [...bare01, 'service']);
    made.push([...bare01, '', 'body'], [...bare01, LONG, 'body']);
  } else {
    made.push(bare01, [...bare01, 'service'], [...bare01, 'service', 'body']);
  }
  made.push(bare02, [...bare02, '\x01'], [...bare02, '\x01', 'service']);
  made.push([...bare02, '\x01', '', 'body'], [...bare02, '\x01', LONG, 'body']);
  for (const command of BYTES) {
    // The second is REQUEST of a worker, which some clients send (D113).
    if (command !== '\x01' && command !== '\x02') {
      made.push([...bare02, command, 'service', 'body']);
    }
  }
  for (const command of ['', '\x01\x01', 'service']) made.push([...bare02, command, 'x', 'body']);
  return made;
}

function envelopes(): Message[] {
  const ids = (count: number): string[] => Array.from({ length: count }, (_, hop) => `hop${hop}`);
  const made: Message[] = [];
  for (let count = 1; count <= 12; count++) {
    made.push(ids(count), [...ids(count), ''], [...ids(count), '', 'MDPC01']);
    // Workers have none.
    made.push([...ids(count), '', 'MDPW01', '\x01', 'service']);
    made.push([...ids(count), '', 'MDPW02', '\x01', 'service']);
    if (count > 8) made.push([...ids(count), '', 'MDPC01', 'service', 'body']);
  }
  made.push(['MDPW01', '\x01', 'service']);
  // Ids that look like a command, where a worker without envelope has its own.
  made.push(['a', 'b', '\x03', 'token', '', 'MDPW01', '\x01', 'service']);
  for (const header of [
    '',
    'MDPC03',
    'MDPW03',
    'mdpc01',
    'MDPC0',
    'MDPC011',
    '\xff\xfe',
    'GET /',
  ]) {
    made.push(['', header, 'service', 'body'], [header, '\x01', 'service', 'body']);
  }
  return made;
}

export const MALFORMED: readonly Message[] = [
  ...envelopes(),
  ...client([]),
  ...client(['']),
  ...client(['id', '']),
  ...worker(['', 'MDPW01'], WORKER_01),
  ...worker(['MDPW02'], WORKER_02),
];
