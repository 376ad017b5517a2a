/** What is in a message on the link of a pair, by its kinds. */
import { assert, present } from '../../src/core/assert.js';
import { Frames } from '../../src/core/frames.js';
import { packBatch, unpackBatch } from '../../src/store/batch-codec.js';
import {
  isPartBatch,
  packChunk,
  packPartBatch,
  unpackChunk,
  unpackPartBatch,
} from '../../src/store/chunk-codec.js';
import { unpackRecords } from '../../src/store/record-codec.js';
import { readPeer, writePeer } from '../../src/wire/pair-codec.js';
import { plain } from './plain-json.js';

export function linkContent(frames: readonly Buffer[]): {
  readonly kind: string;
  readonly content: readonly string[];
  readonly fields: unknown;
} {
  const { message } = messageOf(frames);
  // The second frame is shown by its content.
  const { kind, ...all } = message;
  const fields = { ...all, records: undefined, batch: undefined };
  return { kind, content: again(frames).content, fields: plain(fields) };
}

function messageOf(frames: readonly Buffer[]) {
  const read = readPeer(framed(frames));
  assert(read !== null && 'message' in read, 'a message of a version that is known');
  const { message, stamp, version } = read;
  return { message: present(message, 'a message of a kind that is known'), stamp, version };
}

function framed(buffers: readonly Buffer[]): Frames {
  const frames = new Frames();
  for (const each of buffers) frames.push(each, 0, each.length);
  return frames;
}

/** A message that was read and written again, with the content of its second frame. */
export function again(frames: readonly Buffer[]): {
  readonly frames: readonly Buffer[];
  readonly content: readonly string[];
} {
  const { message, stamp, version } = messageOf(frames);
  if (message.kind === 'records') {
    const chunk = present(unpackChunk(message.records), 'a chunk');
    const requests = present(unpackRecords(chunk.requests), 'records of requests');
    const parts = chunk.parts.flatMap(({ part, records }) => records.map(() => `part ${part}`));
    const content = [...requests.map(({ kind }) => kind), ...parts];
    return {
      frames: writePeer({ ...message, records: packChunk(chunk) }, stamp, version),
      content,
    };
  }
  if (message.kind === 'update' && isPartBatch(message.batch)) {
    const changed = present(unpackPartBatch(message.batch), 'a batch of a part');
    const content = changed.changes.map(() => `part ${changed.part}`);
    return {
      frames: writePeer({ ...message, batch: packPartBatch(changed) }, stamp, version),
      content,
    };
  }
  if (message.kind === 'update') {
    const changed = present(unpackBatch(message.batch), 'a batch of requests');
    const content = changed.changes.map(({ kind }) => kind);
    return {
      frames: writePeer({ ...message, batch: packBatch(changed) }, stamp, version),
      content,
    };
  }
  return { frames: writePeer(message, stamp, version), content: [] };
}
