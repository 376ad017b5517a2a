import { TOPIC_BYTES_MAX } from '../../wire/stream.js';
import { checkText, wrong } from '../errors.js';

/** A topic, or the beginning of topics: text (sent as UTF-8) or bytes, at most 255 bytes. */
export type Topic = string | Uint8Array;

/** Distinct subscriptions that a publisher allows a connection (D41). */
const TOPICS_MAX = 10_000;

/** Topics that a publisher keeps in bytes. */
const ENCODED_MAX = 4096;

/** The bytes of a topic. @throws ERR_MDP_OPTION */
function topicBytes(topic: unknown, option: string): Buffer {
  if (typeof topic === 'string') checkText(option, topic);
  const bytes = bytesOf(topic);
  if (bytes === null) throw wrong(option, 'must be a string or bytes');
  if (bytes.length > TOPIC_BYTES_MAX) {
    throw wrong(option, `must have at most ${TOPIC_BYTES_MAX} bytes`);
  }
  return bytes;
}

function bytesOf(topic: unknown): Buffer | null {
  if (typeof topic === 'string') return Buffer.from(topic, 'utf8');
  if (!ArrayBuffer.isView(topic)) return null;
  return Buffer.from(topic.buffer, topic.byteOffset, topic.byteLength);
}

/** A publisher's topics: most programs publish to the same few again and again. */
export class TopicsInUse {
  readonly #encoded = new Map<string, Buffer>();

  /** See `topicBytes`; nobody may change them. @throws ERR_MDP_OPTION */
  bytesOf(topic: unknown, option: string): Buffer {
    if (typeof topic !== 'string') return topicBytes(topic, option);
    const known = this.#encoded.get(topic);
    if (known !== undefined) return known;
    const bytes = topicBytes(topic, option);
    if (this.#encoded.size >= ENCODED_MAX) this.#encoded.clear();
    this.#encoded.set(topic, bytes);
    return bytes;
  }
}

/** Copies of distinct topics: the given one, or those of a list. @throws ERR_MDP_OPTION */
export function topicList(given: unknown, option: string): readonly Buffer[] {
  const list: readonly unknown[] = Array.isArray(given) ? given : [given];
  const distinct = new Map<string, Buffer>();
  for (const topic of list) {
    const bytes = Buffer.from(topicBytes(topic, option));
    distinct.set(bytes.toString('latin1'), bytes);
  }
  if (distinct.size === 0 || distinct.size > TOPICS_MAX) {
    throw wrong(option, `must be 1 to ${TOPICS_MAX} topics`);
  }
  return [...distinct.values()];
}
