/** The NULL mechanism (23/ZMTP §The NULL Security Mechanism): READY from both sides, plain text. */
import {
  BROKEN,
  command,
  commandData,
  commandName,
  metadata,
  metadataFault,
  readMetadata,
  type SocketType,
} from './commands.js';
import type { FrameCipher, HandshakeStep, Mechanism } from './mechanism.js';

export class NullMechanism implements Mechanism {
  readonly name = 'NULL';
  readonly asServer = false;
  readonly #socketType: SocketType;
  readonly #identity: Buffer;

  constructor(socketType: SocketType, identity: Buffer) {
    this.#socketType = socketType;
    this.#identity = identity;
  }

  begin(): Buffer {
    return command('READY', metadata(this.#socketType, this.#identity));
  }

  step(body: Buffer): HandshakeStep {
    const name = commandName(body);
    if (name === 'ERROR') return failed(`the peer refused: ${errorReason(commandData(body))}`);
    if (name !== 'READY') return failed('no READY in the handshake');
    const read = readMetadata(commandData(body));
    if (read === BROKEN) return failed('the metadata of READY cannot be read');
    const fault = metadataFault(this.#socketType, read);
    if (fault !== null) return failed(fault);
    return { kind: 'ready', send: null, metadata: read, publicKey: null };
  }

  cipher(): FrameCipher | null {
    return null;
  }
}

function failed(reason: string): HandshakeStep {
  return { kind: 'failed', send: null, reason };
}

const REASON_SHOWN_MAX = 64;

/** The reason in an ERROR's data (a size byte and printable text). */
export function errorReason(data: Buffer): string {
  const text = data.toString('latin1', 1, 1 + (data[0] ?? 0));
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, REASON_SHOWN_MAX);
}
