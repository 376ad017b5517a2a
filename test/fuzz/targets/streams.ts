/**
 * A publisher and what its subscribers send: every message goes to exactly those whose subscriptions
 * are a prefix of its topic, once; limits hold; who is gone leaves nothing behind (D41, D43).
 */
import { Frames } from '../../../src/core/frames.js';
import { hasStreamHeader, readSubscription, subscribedTopic } from '../../../src/wire/stream.js';
import { Stage } from '../../machine/stream/stage.js';
import { check, Script, type Target } from '../target.js';

const SUBSCRIBERS = 4;
const LIMITS = { perSubscriber: 6, perIdentity: 8, total: 12 };
const TOPIC_BYTES_MAX = 255;
/** Two identities. */
const identityOf = (id: number): string => `ip:${id % 2}`;

/** A list of (subscriber, topic): what docs/protocol.md says, without a trie. */
class Model {
  /** Topics, as often as they are subscribed to; none: not connected, or closed. */
  readonly of = new Map<number, string[]>();

  distinct(ids: Iterable<number> = this.of.keys()): number {
    let count = 0;
    for (const id of ids) count += new Set(this.of.get(id)).size;
    return count;
  }

  /** @returns whether it is closed */
  subscribe(id: number, topic: string): boolean {
    const topics = this.of.get(id);
    if (topics === undefined) return false;
    const others = [...this.of.keys()].filter((each) => identityOf(each) === identityOf(id));
    const isNew = !topics.includes(topic);
    const isOver =
      new Set(topics).size >= LIMITS.perSubscriber ||
      this.distinct(others) >= LIMITS.perIdentity ||
      this.distinct() >= LIMITS.total;
    if (topic.length > TOPIC_BYTES_MAX || (isNew && isOver)) {
      this.of.delete(id);
      return true;
    }
    topics.push(topic);
    return false;
  }

  /** @returns whether it is closed */
  cancel(id: number, topic: string): boolean {
    const topics = this.of.get(id);
    if (topics === undefined) return false;
    if (topic.length > TOPIC_BYTES_MAX) {
      this.of.delete(id);
      return true;
    }
    const at = topics.indexOf(topic);
    if (at >= 0) topics.splice(at, 1);
    return false;
  }

  wanting(topic: string): number[] {
    const all = [...this.of].filter(([, topics]) => topics.some((one) => topic.startsWith(one)));
    return all.map(([id]) => id).sort();
  }
}

/** Few letters, so that topics begin with each other; or any bytes, also too many. */
function topicOf(script: Script): Buffer {
  const kind = script.below(8);
  if (kind === 0) return script.piece();
  if (kind === 1) return Buffer.alloc(250 + script.below(10), script.byte());
  return Buffer.from(script.piece(5).map((byte) => 0x61 + (byte % 2)));
}

function run(input: Buffer): void {
  const script = new Script(input);
  const stage = new Stage(undefined, LIMITS);
  const model = new Model();
  let closed = 0;
  while (!script.isAtEnd) {
    const id = script.below(SUBSCRIBERS);
    const kind = script.below(6);
    if (kind === 0) {
      stage.fanOut.disconnected(id);
      model.of.delete(id);
      stage.connect(id, identityOf(id));
      model.of.set(id, []);
    } else if (kind === 1) {
      const topic = topicOf(script);
      published(stage, model, topic);
    } else if (kind === 2) {
      // Whatever it sends as a message.
      const frames = Frames.of(
        ...Array.from({ length: 1 + script.below(2) }, () => script.piece()),
      );
      stage.fanOut.message(id, frames);
      const said = readSubscription(frames);
      if (said !== null) {
        const topic = subscribedTopic(frames).toString('latin1');
        const isOver = said === 'subscribe' ? model.subscribe(id, topic) : model.cancel(id, topic);
        if (isOver) closed++;
      }
      hasStreamHeader(frames);
    } else if (kind === 3) {
      if (model.of.delete(id)) {
        stage.fanOut.outputFull(id);
        closed++;
      }
    } else {
      const topic = topicOf(script);
      const isOn = kind === 4;
      stage.fanOut.subscription(id, topic, isOn);
      const name = topic.toString('latin1');
      if (isOn ? model.subscribe(id, name) : model.cancel(id, name)) closed++;
    }
    const { subscriptions } = stage.fanOut;
    check(subscriptions === model.distinct(), 'subscriptions are counted wrongly');
  }
  const { slow, limit } = stage.fanOut.counters.closed;
  check(slow + limit === closed, `${slow + limit} were closed, not ${closed}`);
  for (let id = 0; id < SUBSCRIBERS; id++) stage.fanOut.disconnected(id);
  while (!stage.fanOut.run());
  const { subscribers, subscriptions } = stage.fanOut;
  check(subscribers + subscriptions === 0, 'something is left of who is gone');
}

function published(stage: Stage, model: Model, topic: Buffer): void {
  stage.news();
  const wanting = model.wanting(topic.toString('latin1'));
  check(stage.fanOut.hasSubscribers(topic) === wanting.length > 0, 'it does not know its readers');
  stage.publish(topic, 'body');
  const got = stage.news().map((line) => Number(line.split(':', 1)[0]));
  check(String(got.sort()) === String(wanting), `${String(got)} got it, not ${String(wanting)}`);
}

export function streams(): Target {
  const connect = [0, 0, 1, 0, 2, 0, 3, 0];
  const topic = (...letters: number[]): number[] => [7, letters.length, ...letters];
  return {
    name: 'streams',
    seeds: [
      Buffer.from([...connect, 0, 4, ...topic(0), 1, 4, ...topic(0, 1), 2, 1, ...topic(0, 1, 0)]),
      Buffer.from([...connect, 0, 4, ...topic(0, 1), 0, 4, ...topic(0, 1), 0, 5, ...topic(0, 1)]),
      Buffer.from([...connect, 1, 2, 0, 3, 1, 0x61, 0x62, 0, 1, ...topic(0, 1), 1, 3]),
      Buffer.from([...connect, 0, 4, 1, 6, 0x61, 1, 4, 1, 3, 0x61, 2, 1, 1, 9, 0x61]),
    ],
    words: ['\x01ab', '\x00ab', 'ab'],
    bytesMax: 600,
    run,
  };
}
