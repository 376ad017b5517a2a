/**
 * Stored requests of two keys and of strangers: nobody else reads or closes what a key has stored
 * (D71), whatever uuid it guesses; nothing is stored twice or lost, and nothing stays in memory.
 */
import { TestKey } from '../../support/rights.js';
import { TitanicStage } from '../../support/titanic-stage.js';
import { check, Script, type Target } from '../target.js';
import { cast, gone, type Member, secretOf, someone, tidy } from './cast.js';
import { framesIn } from './codec.js';

const TARGETS = ['echo', 'upper', 'mmi.x', ''];
const OPTIONS = [
  '{}',
  '{"shared":true}',
  '{"key":"k"}',
  '{"key":"k","shared":true}',
  '{"priority":5,"delayMs":10}',
  '{"ttlMs":20}',
  '{"maxAttempts":1}',
  '{"headers":{"a":"b"}}',
];
const LINES = ['* * * * * *', '*/2 * * * * *', '@hourly', '0 0 30 2 *', '0 0 0 1 1 * 2020', '*/7'];
const ZONES = ['UTC', 'Europe/Berlin', 'Europe/Atlantis'];
const PLACES = ['', '1-1795132800000-1:1', '9-9-9:999999', 'x'];
const WAITS_MS = [0, 1, 30, 600, 5000];

interface Stored {
  readonly owner: string;
  readonly isShared: boolean;
}

class World {
  readonly stage: TitanicStage;
  readonly members: readonly Member[];
  readonly #stored = new Map<string, Stored>();
  readonly #uuids: string[] = [];
  readonly #held: { readonly member: Member; readonly token: Buffer; readonly body: string }[] = [];
  /** Of the last answer to who asks now. */
  #status = '';
  /** The last answer says that a schedule was ended. */
  #removed = false;
  #asked: { owner: string; isShared: boolean; service: string; uuid: string } | null = null;

  constructor() {
    this.stage = new TitanicStage({
      rightsOf: (_, key) =>
        key === 'alice' ? new TestKey(true, true) : new TestKey(['echo'], true),
      requestTtlMs: 10_000,
    });
    this.members = cast(this.stage);
  }

  step(script: Script): void {
    const kind = script.below(13);
    const member = someone(this.members, script);
    const { connection } = member;
    switch (kind) {
      case 0:
        this.#asks(
          member,
          'titanic.request',
          [script.pick(TARGETS), secretOf(member.owner)],
          false,
        );
        break;
      case 1: {
        const options = script.pick(OPTIONS);
        const isShared = options.includes('"shared":true');
        const body = [options, script.pick(TARGETS), secretOf(member.owner)];
        this.#asks(member, 'titanic.submit', body, isShared);
        break;
      }
      case 2:
      case 3: {
        const service = script.pick(['titanic.reply', 'titanic.close', 'titanic.wait']);
        const uuid = this.#uuids.length === 0 ? 'F'.repeat(32) : script.pick(this.#uuids);
        const wait = service === 'titanic.wait' ? [`${script.byte()}`] : [];
        this.#asks(member, service, [uuid, ...wait], false, uuid);
        break;
      }
      case 4:
        connection.sends(
          ...['MDPW02', '\x01', script.pick(['echo', 'upper']), '3'],
          ...script.pick([[], ['{"headers":true}']]),
        );
        break;
      case 5: {
        if (this.#held.length === 0) break;
        const { member: worker, token, body } = script.pick(this.#held);
        if (gone(worker)) break;
        worker.connection.sends('MDPW02', script.pick(['\x04', '\x03', '\x07']), token, '', body);
        break;
      }
      case 6: {
        const frames = framesIn(script.piece());
        const command = script.pick(['\x01', '\x04']);
        if (frames.length > 0) connection.sends('MDPC02', command, ...frames);
        break;
      }
      case 7:
        if (script.below(3) === 0) connection.disconnect();
        break;
      case 9: {
        const cron = script.pick(LINES);
        const options = { name: nameOf(member, script), cron, timeZone: script.pick(ZONES) };
        const body = [JSON.stringify(options), script.pick(TARGETS), secretOf(member.owner)];
        this.#asks(member, 'titanic.schedule', body, false);
        break;
      }
      case 10:
        this.#unschedules(member, nameOf(someone(this.members, script), script));
        break;
      case 11: {
        const after = script.pick(['', '{"after":"n"}', '{"after":5}']);
        this.#asks(member, 'titanic.schedules', [after], false);
        break;
      }
      case 12: {
        const uuid = this.#uuids.length === 0 ? 'F'.repeat(32) : script.pick(this.#uuids);
        const body = [uuid, script.pick(PLACES), `${script.byte()}`];
        this.#asks(member, 'titanic.progress', body, false, uuid);
        break;
      }
      default:
        this.stage.after(script.pick(WAITS_MS));
    }
    this.#look();
  }

  #asks(
    member: Member,
    service: string,
    body: readonly string[],
    isShared: boolean,
    uuid = '',
  ): void {
    this.#look();
    const before = uuid === '' ? 'absent' : this.stage.stands(uuid);
    this.#asked = { owner: member.owner, isShared, service, uuid };
    this.#status = '';
    member.connection.sends('MDPC02', '\x01', service, ...body);
    this.#look();
    this.#asked = null;
    this.#untouched(member.owner, uuid, before);
  }

  #look(): void {
    for (const member of this.members) {
      for (const frames of member.connection.raw()) this.#hears(member, frames);
    }
    tidy(this.members);
  }

  #hears(member: Member, frames: readonly string[]): void {
    if (frames[0] === 'MDPW02' && (frames[1] === '\x02' || frames[1] === '\x09')) {
      const body = frames.at(-1) ?? '';
      const token = Buffer.from(frames[2] ?? '', 'latin1');
      if (this.#held.length < 200) this.#held.push({ member, token, body });
      return;
    }
    if (frames[0] !== 'MDPC02') return;
    const [status = '', answer = ''] = frames.slice(3);
    if (frames[2] === 'titanic.schedules' && status === '200') this.#listed(member, answer);
    if (frames[2] === 'titanic.unschedule' && answer.includes('true')) this.#removed = true;
    const asked = this.#asked;
    if (status === '200' && /^[0-9A-F]{32}$/.test(answer) && asked !== null) {
      this.#accepted(answer, asked);
      return;
    }
    // A reply, or its parts: the body of the request, given back.
    for (const frame of frames.slice(4)) {
      const owner = /^<(.*)>$/.exec(frame)?.[1];
      if (owner !== undefined && owner !== member.owner) this.#foreign(member, owner);
    }
    if (asked?.owner === member.owner) this.#status = status;
  }

  /** Names begin with the owner of the schedule. */
  #listed(member: Member, answer: string): void {
    const { schedules } = JSON.parse(answer) as { schedules: readonly { name: string }[] };
    for (const { name } of schedules) {
      check(name.startsWith(`${familyOf(member)} `), `${member.owner} is shown ${name}`);
    }
  }

  #unschedules(member: Member, name: string): void {
    this.#removed = false;
    this.#asks(member, 'titanic.unschedule', [name], false);
    const isOwn = name.startsWith(`${familyOf(member)} `);
    check(isOwn || !this.#removed, `${member.owner} has ended ${name}`);
  }

  #accepted(uuid: string, asked: { owner: string; isShared: boolean; service: string }): void {
    if (!/request$|submit$/.test(asked.service)) return;
    const before = this.#stored.get(uuid);
    if (before === undefined) {
      if (this.#uuids.length < 100) this.#uuids.push(uuid);
      this.#stored.set(uuid, { owner: asked.owner, isShared: asked.isShared });
      return;
    }
    // The same key again: of the same owner (D70). Strangers are one.
    const isSame =
      before.owner === asked.owner || (isStranger(before.owner) && isStranger(asked.owner));
    check(isSame, `${asked.owner} is given the uuid of a request of ${before.owner} by its key`);
  }

  #foreign(member: Member, owner: string): void {
    if (isStranger(owner)) return;
    const isShared = [...this.#stored.values()].some(
      (each) => each.owner === owner && each.isShared,
    );
    check(isShared, `${member.owner} is given the reply of ${owner}`);
  }

  /** Who may not end a request is told 400, as long as it is there, and it stays. */
  #untouched(owner: string, uuid: string, before: string): void {
    const stored = this.#stored.get(uuid);
    if (stored === undefined || stored.isShared) return;
    if (stored.owner === owner || isStranger(stored.owner) || before === 'absent') return;
    check(this.stage.stands(uuid) === before, `${owner} has changed a request of ${stored.owner}`);
    check(this.#status !== '200', `${owner} is answered 200 about a request of ${stored.owner}`);
  }

  end(): void {
    this.stage.end();
  }
}

/** Without a key: all of them are one owner (D70). */
function isStranger(owner: string): boolean {
  return /^\d/.test(owner);
}

/** Whom their schedules belong to. */
function familyOf({ owner }: Member): string {
  return isStranger(owner) ? 'strangers' : owner;
}

/** The name of one of two schedules of a member. */
function nameOf(member: Member, script: Script): string {
  return `${familyOf(member)} ${script.below(2)}`;
}

function run(input: Buffer): void {
  const script = new Script(input);
  const world = new World();
  while (!script.isAtEnd) world.step(script);
  world.end();
}

export function titanic(): Target {
  return {
    name: 'titanic',
    words: [
      ...['\x0ftitanic.request', '\x0etitanic.submit', '\x0dtitanic.reply', '{"key":"k"}'],
      ...['{"headers":{"a":"b"}}', '\x0ftitanic.request\x00\x09{"a":"b"}\x04echo'],
    ],
    bytesMax: 512,
    seeds: [
      Buffer.from([0, 0, 0, 4, 2, 0, 5, 2, 0, 0, 2, 0, 0, 0, 2, 2, 0, 0, 2, 0, 1, 0]),
      Buffer.from([1, 0, 2, 0, 1, 2, 2, 0, 1, 0, 2, 0, 4, 2, 0, 5, 0, 0, 0, 3, 2, 0, 0]),
      Buffer.from([9, 0, 0, 0, 0, 0, 8, 4, 11, 2, 0, 10, 4, 0, 0, 8, 4, 9, 2, 1, 1, 0, 0, 8, 4]),
      Buffer.from([0, 0, 0, 4, 2, 0, 5, 0, 1, 12, 0, 0, 0, 9, 12, 2, 0, 0, 9, 8, 4]),
      Buffer.from([1, 0, 1, 0, 4, 2, 0, 5, 0, 0, 0, 2, 2, 0, 0, 8, 0, 4, 2, 0, 2, 0]),
    ],
    run,
  };
}
