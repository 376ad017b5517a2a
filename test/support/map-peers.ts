/** Clients of a daemon's map on pyzmq, message by message. End them with `killPrograms`. */
import { type Line, type Program, python } from '../interop/support/program.js';

/** An update or a part of a snapshot. */
export interface Told {
  readonly key: string;
  readonly number: bigint;
  readonly uuid: string;
  readonly properties: string;
  readonly value: string;
}

/** The port so many above P. */
export function mapPort(endpoint: string, above: number): number {
  return Number(endpoint.split(':').at(-1)) + above;
}

export class MapPeer {
  readonly program: Program;
  #asked = 0;

  constructor(endpoint: string, ...options: readonly string[]) {
    this.program = python('map_peer', endpoint, ...options);
  }

  /** Waits until it has subscribed, and may write. */
  static async connected(endpoint: string, ...options: readonly string[]): Promise<MapPeer> {
    const peer = new MapPeer(endpoint, ...options);
    await peer.program.waitFor('writes');
    await peer.program.until(() => peer.hugs > 0, 'HUGZ');
    return peer;
  }

  /** KVSET: key, (ignored), uuid, properties, value. */
  set(...frames: readonly string[]): void {
    this.#tell({ do: 'set', frames });
  }

  ask(...frames: readonly string[]): void {
    this.#tell({ do: 'ask', frames });
  }

  /** The same message so many times. */
  flood(what: 'ask' | 'set', count: number, ...frames: readonly string[]): void {
    this.#tell({ do: what, frames, count });
  }

  subscribe(topic: string): void {
    this.#tell({ do: 'subscribe', topic });
  }

  #tell(order: object): void {
    this.program.tell(JSON.stringify(order));
  }

  get hugs(): number {
    return this.program.said('update').filter((line) => toldOf(line).key === 'HUGZ').length;
  }

  /** Without HUGZ. */
  get updates(): readonly Told[] {
    return this.program
      .said('update')
      .map(toldOf)
      .filter(({ key }) => key !== 'HUGZ');
  }

  /** Everything that came at P. */
  get answers(): readonly Told[] {
    return this.program.said('snapshot').map(toldOf);
  }

  /** The update that `is` true of, as soon as it is there. */
  async update(is: (told: Told) => boolean): Promise<Told> {
    await this.program.until(() => this.updates.some(is), 'such an update');
    const [found] = this.updates.filter(is);
    if (found === undefined) throw new Error('it is gone');
    return found;
  }

  /** The records of a snapshot, and its KTHXBAI last. */
  async snapshot(subtree = ''): Promise<readonly Told[]> {
    const before = this.answers.length;
    this.#asked++;
    this.ask('ICANHAZ?', subtree);
    const ends = (): number => this.answers.filter(({ key }) => key === 'KTHXBAI').length;
    await this.program.until(() => ends() >= this.#asked, 'KTHXBAI');
    return this.answers.slice(before);
  }
}

function toldOf({ frames }: Line): Told {
  const [key = '', number = '', uuid = '', properties = '', value = '', ...more] =
    frames as string[];
  if (number.length !== 8 || more.length > 0) throw new Error('not five frames, one of 8 bytes');
  return {
    key,
    number: Buffer.from(number, 'latin1').readBigUInt64BE(),
    uuid,
    properties,
    value,
  };
}

/** A uuid of 16 equal characters. */
export function uuidOf(character: string): string {
  return character.repeat(16);
}
