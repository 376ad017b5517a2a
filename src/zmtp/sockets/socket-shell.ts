import type { Socket } from 'node:net';

import { monotonicMs } from '../../core/clock.js';
import { freePieceBytes, giveBackUnused } from '../../core/piece.js';
import type { Connection } from '../connection/connection.js';
import { recycle } from '../connection/chunks.js';
import type { OutputQueue, Taken } from '../connection/output-queue.js';
import type { ByteSource } from './byte-source.js';
import { HandleWriter } from './handle-writer.js';
import { costOf, READ_MS_MAX, type Reading, type ReadTurns, TurnsOfOne } from './read-turns.js';
import { Silences, type Watched } from './silences.js';
import { SMALL_BYTES, type Writing, type WriteTurns } from './write-turns.js';

/** Events of a connection's shell. */
export interface ShellEvents {
  /** The identity whose turns it shares. */
  readonly identity: string;
  /**
   * False: nothing more is read before `resume`. Only without turns, which decide about it; default
   * true.
   */
  readonly isReading?: boolean;
  /** Bytes came and were handled. */
  received(): void;
  /** The kernel has taken all output of the last flush. */
  written(): void;
  /**
   * The socket is gone. Called once, never within a call.
   * @param isCut the peer left in the middle of the handshake or of a message
   */
  closed(isCut: boolean): void;
}

/** Silence after which the kernel sends a TCP keep-alive probe. */
const KEEP_ALIVE_MS = 30_000;
/** Silence after which the kernel probes a peer that was asked for a sign of life and knows no PING. */
const ASKED_KEEP_ALIVE_MS = 1000;
/** Maximum time for the last output to a peer to leave. */
const LAST_WORDS_MS_MAX = 1000;

/** Free memory of large messages that was not needed for so long is given back. */
const FREE_KEPT_MS = 1000;
let isGivingBack = false;

function giveBackSoon(): void {
  if (isGivingBack || freePieceBytes() === 0) return;
  isGivingBack = true;
  setTimeout(() => {
    isGivingBack = false;
    giveBackUnused();
    giveBackSoon();
  }, FREE_KEPT_MS).unref();
}

/** Shared by all connections of the process. */
const silences = new Silences(monotonicMs);

/**
 * When the connection that is handling messages began (only one does at a time), and its output
 * then.
 */
let readSince = 0;
let answers: OutputQueue | null = null;
let answersFrom = 0;

function readBegins(output: OutputQueue, now: number): void {
  readSince = now;
  answers = output;
  answersFrom = output.bytes;
}

/** Bytes by which that connection's output has grown. */
function answered(): number {
  return answers === null ? 0 : Math.max(0, answers.bytes - answersFrom);
}

function isReadSpent(): boolean {
  return monotonicMs() - readSince > READ_MS_MAX;
}

/** The read and write turns of one event loop. */
export interface Turns {
  readonly reading: ReadTurns;
  readonly writing: WriteTurns;
}

/** A connection machine on a `node:net` socket: bytes in both directions, one write per flush. */
export class SocketShell implements Reading, Writing, Watched {
  readonly connection: Connection;
  readonly turns: TurnsOfOne = new TurnsOfOne();
  readonly #source: ByteSource;
  readonly #socket: Socket;
  readonly #writer: HandleWriter;
  readonly #events: ShellEvents;
  readonly #readTurns: ReadTurns | null;
  readonly #writeTurns: WriteTurns | null;
  #writing: Taken | null = null;
  /** Whether the connection has asked for a turn to write. */
  #waitsToWrite = false;
  /** Expires when the time for the last output is over. */
  #ending: NodeJS.Timeout | null = null;
  #isCut = false;

  /** @param turns `null`: input is handled and output written at once */
  constructor(
    source: ByteSource,
    connection: Connection,
    events: ShellEvents,
    turns: Turns | null,
  ) {
    const { socket } = source;
    this.#source = source;
    this.#socket = socket;
    this.#writer = new HandleWriter(socket);
    this.connection = connection;
    this.#events = events;
    this.#readTurns = turns?.reading ?? null;
    this.#writeTurns = turns?.writing ?? null;
    socket.setNoDelay(true);
    // Windows refuses it before there is a connection.
    const keepAlive = (): void => void socket.setKeepAlive(true, KEEP_ALIVE_MS);
    if (socket.connecting) socket.once('connect', keepAlive);
    else keepAlive();
    const lender = (): Buffer | null => connection.lend();
    source.read((bytes, size) => {
      const now = monotonicMs();
      if (turns === null) {
        connection.receive(bytes, now, size);
        this.#received();
        return events.isReading !== false;
      }
      const { reading } = turns;
      readBegins(connection.output, now);
      const items = connection.receive(bytes, now, size, reading.allowance(this), isReadSpent);
      const cost = costOf(items, answered(), now, monotonicMs);
      this.#received();
      return reading.took(this, cost, size) && !connection.isHeld;
    }, lender);
    // A peer that has closed its sending side is not useful: 23/ZMTP is symmetric.
    socket.on('end', () => {
      this.#isCut = connection.isInterrupted;
      this.end();
    });
    // `close` always follows, and reports the error.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#socketClosed());
  }

  get identity(): string {
    return this.#events.identity;
  }

  get hasRest(): boolean {
    return this.connection.hasRest && !this.connection.isHeld;
  }

  get lastHeardAt(): number {
    return this.connection.lastHeardAt;
  }

  get ttlMs(): number {
    return this.connection.ttlMs;
  }

  get isHeldBack(): boolean {
    return this.turns.isInLine;
  }

  expire(reason: string): void {
    this.connection.expire(reason);
  }

  proceed(itemsMax: number): number {
    const now = monotonicMs();
    readBegins(this.connection.output, now);
    const items = this.connection.proceed(now, itemsMax, isReadSpent);
    const cost = costOf(items, answered(), now, monotonicMs);
    this.#received();
    return cost;
  }

  /** Takes the costly step of the handshake that waits. */
  grant(): void {
    this.connection.grant(monotonicMs());
    this.#received();
  }

  resume(): void {
    if (!this.connection.isHeld) this.#source.resume();
  }

  /** After `Connection.hold`: handles what waits, and reads on. */
  release(): void {
    const { connection } = this;
    connection.release();
    const turns = this.#readTurns;
    if (this.turns.isInLine || turns === null) return;
    if (turns.took(this, this.proceed(turns.allowance(this)), 0)) this.resume();
  }

  /**
   * Asks for a sign of life: the peer by a PING or, if it knows none, its host by a TCP probe, which
   * ends the connection if the host has started anew.
   */
  ask(): void {
    const { connection } = this;
    if (!connection.canPing) {
      this.#socket.setKeepAlive(true, ASKED_KEEP_ALIVE_MS);
      return;
    }
    connection.ping();
    this.flush();
  }

  /** Whether the socket keeps the process alive; true at first. */
  setRef(isRef: boolean): void {
    if (isRef) this.#socket.ref();
    else this.#socket.unref();
  }

  #received(): void {
    if (this.connection.ttlMs > 0) silences.watch(this);
    giveBackSoon();
    this.#events.received();
  }

  /** Memory of its output. */
  get roomBytes(): number {
    return this.connection.output.roomBytes + (this.#writing?.roomBytes ?? 0);
  }

  /** Bytes that wait here, or were given to the socket and not yet taken by the kernel. */
  get waitingBytes(): number {
    return this.connection.output.bytes + (this.#writing?.bytes ?? 0);
  }

  /**
   * Writes waiting output, unless a write is in progress: then it follows. Large output takes
   * turns.
   */
  flush(): void {
    const { output } = this.connection;
    if (this.#writing !== null || output.bytes === 0 || this.#socket.destroyed) return;
    if (this.#waitsToWrite) return;
    if (this.#writeTurns === null || output.bytes <= SMALL_BYTES) {
      this.#write(output.take(), false);
    } else {
      this.#waitsToWrite = true;
      this.#writeTurns.ask(this);
    }
  }

  writePiece(bytesMax: number): number {
    this.#waitsToWrite = false;
    if (this.#socket.destroyed) return 0;
    const taken = this.connection.output.take(bytesMax);
    if (taken.bytes > 0) this.#write(taken, true);
    return taken.bytes;
  }

  /** @param isPiece more may follow, but not within this call: others have a turn, too */
  #write(taken: Taken, isPiece: boolean): void {
    this.#writing = taken;
    const written = this.#writer.write(taken.views, this.#writeEnded);
    if (written === 'taken' && isPiece) queueMicrotask(this.#written);
    else if (written === 'taken') this.#written();
    else if (written === 'failed') this.#writeEnded(true);
  }

  /**
   * Ends the connection once its output is written. Further input is discarded, because closing a
   * socket with unread input would discard what was sent.
   * @param lastWordsMs maximum time for that
   */
  end(lastWordsMs: number = LAST_WORDS_MS_MAX): void {
    if (this.#ending !== null || this.#socket.destroyed) return;
    this.#ending = setTimeout(() => {
      this.#socket.destroy();
    }, lastWordsMs);
    this.connection.close();
    this.flush();
    if (this.waitingBytes === 0) this.#socket.end();
  }

  /** @param isReset what the kernel has of its output is dropped, too; TCP only */
  destroy(isReset = false): void {
    this.connection.close();
    if (isReset) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }

  readonly #writeEnded = (isFailed: boolean): void => {
    if (isFailed) this.#socket.destroy();
    this.#written();
  };

  readonly #written = (): void => {
    if (this.#writing !== null) recycle(this.#writing.chunks);
    this.#writing = null;
    giveBackSoon();
    if (this.#socket.destroyed) return;
    if (this.connection.output.bytes > 0) this.flush();
    else if (this.#ending !== null) this.#socket.end();
    this.#events.written();
  };

  #socketClosed(): void {
    if (this.#ending !== null) clearTimeout(this.#ending);
    const isCut = this.#isCut || this.connection.isInterrupted;
    this.connection.close();
    silences.watched.delete(this);
    recycle(this.connection.output.take().chunks);
    this.#events.closed(isCut);
  }
}
