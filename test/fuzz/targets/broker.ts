/**
 * The broker among two keys and two addresses: any of them clients and workers, speaking well or not.
 * Nobody is answered what is another's, a refused peer leaves nothing, and when all are gone the
 * broker holds nothing.
 */
import { Stage } from '../../support/stage.js';
import { TestKey } from '../../support/rights.js';
import { check, Script, type Target } from '../target.js';
import {
  cast,
  gone,
  type Member,
  others,
  OWNERS,
  secretOf,
  someone,
  tidy,
  toggle,
} from './cast.js';
import { framesIn, MDP_WORDS } from './codec.js';

const SERVICES = [
  'echo',
  'upper',
  'x.y',
  'mmi.service',
  'mmi.workers',
  'mmi.services',
  'mmi.hello',
];
const READIES = ['echo', 'upper', 'x.y', 'mmi.x'];
/** Of a READY with a credit (D67): mostly none. */
const OPTIONS = [[], ['{"name":"\\u001b[31m"}'], ['{}'], ['{"name":7}'], ['{"headers":true}']];
const REQUEST_OPTIONS = ['', '{"once":true}', '{"once":false}', '{"x":1}', '{'];
const DEADLINES = ['', '1', '900', '2147483647', '0'];
const WAITS_MS = [0, 1, 50, 1000, 3000, 20_000];

interface Held {
  readonly member: Member;
  readonly token: Buffer;
  readonly version: 1 | 2;
}

class World {
  readonly stage: Stage;
  readonly members: readonly Member[];
  /** Requests that workers were given. */
  readonly #held: Held[] = [];

  constructor() {
    // Bob may ask for all services but one, and work for one.
    const keys = { alice: new TestKey(true, true), bob: new TestKey(['echo', 'x.*'], ['upper']) };
    const limits = { services: 20, workers: 10, queuedRequests: 50, queuedBytes: 20_000 };
    this.stage = new Stage({
      limits: { ...limits, queuedRequestsPerService: 30, messageBytes: 4096 },
      requestTtlMs: 10_000,
      rightsOf: (_, key) => (key === 'alice' ? keys.alice : keys.bob),
    });
    this.members = cast(this.stage);
  }

  step(script: Script): void {
    const kind = script.below(12);
    const member = someone(this.members, script);
    const { connection, owner } = member;
    switch (kind) {
      case 0:
      case 1:
      case 2: {
        // The third is 0.2 with headers, which are the sender's secret too; the fourth has options before them.
        const version = script.below(4);
        const id = script.below(3) === 0 ? [] : [`id${script.below(3)}`, ''];
        const head =
          [['MDPC02', '\x01'], ['MDPC01'], ['MDPC02', '\x04'], ['MDPC02', '\x05']][version] ?? [];
        const start = version === 1 && id.length === 0 ? [''] : id;
        const service = script.pick(SERVICES);
        const options = version === 3 ? [script.pick(REQUEST_OPTIONS), script.pick(['', 'g'])] : [];
        const metadata = version >= 2 ? [script.pick(DEADLINES), secretOf(owner)] : [];
        connection.sends(...start, ...head, service, ...options, ...metadata, secretOf(owner));
        break;
      }
      case 3: {
        const credit = script.below(3) === 0 ? [] : [`${1 + script.below(12)}`];
        const service = script.pick(READIES);
        const options = credit.length > 0 ? script.pick(OPTIONS) : [];
        connection.sends('MDPW02', '\x01', service, ...credit, ...options);
        break;
      }
      case 4:
      case 5:
        this.#answers(member, script);
        break;
      case 6:
        connection.sends('MDPW02', ...script.pick([['\x05'], ['\x06'], ['\x07', '', '']]));
        break;
      case 7: {
        const frames = framesIn(script.piece());
        if (frames.length > 0) connection.sends(...frames);
        break;
      }
      case 8:
        if (script.below(4) === 0) toggle(member);
        break;
      case 9:
        if (script.below(4) === 0) connection.fills();
        else connection.drains();
        break;
      case 10:
        if (script.below(8) === 0) connection.sendsOversized(...this.#head(script));
        break;
      default:
        this.stage.after(script.pick(WAITS_MS));
    }
    this.#look();
  }

  #answers(member: Member, script: Script): void {
    if (this.#held.length === 0) return;
    const held = script.pick(this.#held);
    // Sometimes with a token that another worker was given.
    const who = script.below(4) === 0 ? member : held.member;
    if (gone(who)) return;
    const command = script.pick(['\x04', '\x03', '\x07']);
    who.connection.sends('MDPW02', command, held.token, '', `of ${held.token.toString('hex')}`);
    if (this.#held.length > 20) this.#held.splice(0, 10);
  }

  /** The frames of an over-long message before its body. */
  #head(script: Script): (string | Buffer)[] {
    const held = this.#held.at(-1);
    if (held === undefined || script.below(2) === 0) return framesIn(script.piece());
    return ['MDPW02', script.pick(['\x04', '\x03', '\x07', '\x08']), held.token, ''];
  }

  /** What everybody has heard. */
  #look(): void {
    for (const member of this.members) {
      for (const frames of member.connection.raw()) this.#hears(member, frames);
    }
    tidy(this.members);
  }

  #hears(member: Member, frames: readonly string[]): void {
    const at = frames[0] === '' ? 1 : 0;
    const [header, command] = frames.slice(at);
    const isWorkers = header === 'MDPW02' || header === 'MDPW01';
    if (isWorkers && (command === '\x02' || command === '\x09')) {
      const token = Buffer.from(frames[at + 2] ?? '', 'latin1');
      this.#held.push({ member, token, version: header === 'MDPW01' ? 1 : 2 });
      this.#owners.set(token.toString('hex'), frames.at(-1) ?? '');
      return;
    }
    if (header === 'MDPW02' || header === 'MDPW01') return;
    // An answer of a worker says which request it answers: that was this one's.
    const answered = /^of ([0-9a-f]*)$/.exec(frames.at(-1) ?? '')?.[1];
    if (answered !== undefined) {
      const asked = this.#owners.get(answered) ?? '';
      const foreign = others(member.owner, this.members).some((each) => asked === secretOf(each));
      check(!foreign, `${member.owner} is answered a request of ${asked}`);
    }
    const all = frames.join(' ');
    for (const each of others(member.owner, this.members)) {
      check(!all.includes(secretOf(each)), `${member.owner} hears what is ${each}'s`);
    }
  }

  readonly #owners = new Map<string, string>();

  end(): void {
    this.stage.end();
    const { heldBytes } = this.stage.broker as { heldBytes?: number };
    check(heldBytes === undefined || heldBytes === 0, 'bytes are held of peers that are gone');
  }
}

function run(input: Buffer): void {
  const script = new Script(input);
  const world = new World();
  while (!script.isAtEnd) world.step(script);
  world.end();
}

export function broker(): Target {
  const member = (owner: (typeof OWNERS)[number], which: number): number =>
    OWNERS.indexOf(owner) * 2 + which;
  // As `World.step` reads them.
  const ready = (who: number): number[] => [3, who, 1, 4, 0, 0];
  const asks = (who: number): number[] => [0, who, 0, 0, 0];
  const answers = (which: number): number[] => [4, 0, which, 1, 0];
  const leaves = (who: number): number[] => [8, who, 0];
  const [alice, aliceOwn] = [member('alice', 0), member('alice', 1)];
  const [bob, bobOwn] = [member('bob', 0), member('bob', 1)];
  return {
    name: 'broker',
    words: MDP_WORDS,
    bytesMax: 768,
    seeds: [
      Buffer.from([...ready(alice), ...asks(bob), ...answers(0)]),
      // Somebody else comes with the routing id of the one who asked and left, before the answer.
      Buffer.from(
        [
          ready(alice),
          asks(aliceOwn),
          leaves(aliceOwn),
          leaves(bobOwn),
          [4, bobOwn, 0, 1, 0],
        ].flat(),
      ),
      Buffer.from([...ready(alice), ...asks(bobOwn), ...leaves(bobOwn), ...answers(0)]),
      Buffer.from([...asks(bob), ...asks(aliceOwn), 11, 0, 5, ...ready(alice), ...answers(1)]),
      Buffer.from([...ready(alice), ...ready(bob), ...asks(aliceOwn), ...asks(bob), 11, 0, 4]),
      Buffer.from([3, alice, 1, 4, 0, 1, ...asks(bob), ...answers(0), 3, bob, 1, 4, 1, 3]),
      Buffer.from([0, 0, 1, 0, 0, 7, 7, 3, 9, 6, 77, 68, 80, 67, 48, 50, 1, 1]),
    ],
    run,
  };
}
