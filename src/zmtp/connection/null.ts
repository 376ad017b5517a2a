/** The NULL mechanism (23/ZMTP §The NULL Security Mechanism): READY from both sides, plain text. */
import {
  BROKEN,
  command,
  commandData,
  commandName,
  metadata,
  metadataFault,
  printable,
  readMetadata,
  type SocketType,
} from './commands.js';
import type { FrameCipher, HandshakeStep, Mechanism, PlainSocket } from './mechanism.js';

export class NullMechanism implements Mechanism {
  readonly name = 'NULL';
  readonly asServer = false;
  readonly peerKey = null;
  readonly plain: PlainSocket;

  constructor(socketType: SocketType, identity: Buffer) {
    this.plain = { socketType, identity };
  }

  begin(): Buffer {
    return command('READY', metadata(this.plain.socketType, this.plain.identity));
  }

  isCostly(): boolean {
    return false;
  }

  step(body: Buffer): HandshakeStep {
    const name = commandName(body);
    if (name === 'ERROR') return failed(`the peer refused: ${errorReason(commandData(body))}`);
    if (name !== 'READY') return failed('no READY in the handshake');
    const read = readMetadata(commandData(body));
    if (read === BROKEN) return failed('the metadata of READY cannot be read');
    const fault = metadataFault(this.plain.socketType, read);
    if (fault !== null) return failed(fault);
    return { kind: 'ready', send: null, metadata: read, key: null };
  }

  cipher(): FrameCipher | null {
    return null;
  }

  close(): void {
    // Nothing here is secret.
  }
}

function failed(reason: string): HandshakeStep {
  return { kind: 'failed', send: null, failure: 'handshake', reason };
}

/** The reason in an ERROR's data (a size byte and printable text). */
export function errorReason(data: Buffer): string {
  return printable(data.toString('latin1', 1, 1 + (data[0] ?? 0)));
}
