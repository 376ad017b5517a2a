/** The two nodes of a link that tests open, and what happens at one end of it, as words. */
import type { Introduction } from '../../../src/bstar/io/handshake.js';
import type { PeerLinkEvents } from '../../../src/bstar/io/peer-link.js';
import type { Objection, SignOfLife } from '../../../src/bstar/ports.js';
import type { PeerMessage } from '../../../src/wire/pair.js';
import type { Rejected } from '../../../src/zmtp/port.js';
import { until } from '../../support/until.js';

export const HEARTBEAT_MS = 200;
export const PRIMARY: Introduction = {
  pair: 'test',
  role: 'primary',
  replication: 'sync',
  heartbeatIntervalMs: HEARTBEAT_MS,
  node: 'p',
  storeId: Buffer.alloc(16, 1),
  epoch: 0,
  publicUrl: null,
};
export const BACKUP: Introduction = {
  ...PRIMARY,
  role: 'backup',
  node: 'b',
  storeId: Buffer.alloc(16, 2),
};

export class Told implements PeerLinkEvents {
  readonly words: string[] = [];

  connected({ node }: { readonly node: string }, version: number): void {
    this.words.push(`connected ${node} by version ${version}`);
  }

  objectionTo(message: PeerMessage): Objection | null {
    const epoch = 'epoch' in message ? message.epoch : 0;
    return epoch < 2 ** 24 ? null : { code: 'epoch', text: 'it is too high' };
  }

  message(message: PeerMessage): void {
    this.words.push(message.kind);
  }

  receiving(): void {
    // No long message comes.
  }

  disconnected(): void {
    this.words.push('disconnected');
  }

  refused({ code }: Objection): void {
    this.words.push(`refused ${code}`);
  }

  rejected(kind: string, reason: string, { address }: Rejected): void {
    this.words.push(`rejected ${kind} from ${address}: ${reason}`);
  }

  refusedByPeer(reason: string): void {
    this.words.push(`by peer: ${reason}`);
  }

  refusedAlive({ againMs, epoch }: SignOfLife): void {
    this.words.push(`alive: again after ${againMs}, epoch ${epoch}`);
  }

  count(word: string): number {
    return this.words.filter((each) => each.startsWith(word)).length;
  }

  async until(word: string, count = 1): Promise<void> {
    await until(() => this.count(word) >= count, `${count} × ${word}`);
  }
}
