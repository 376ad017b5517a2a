/** The simulation is only worth what it finds: brokers that are broken on purpose. */
import type { MessageSink } from '../../src/broker/sink.js';
import { BARE, DELIMITED } from '../../src/wire/dialect.js';
import { firstFailure } from './actors/first-failure.js';
import type { Sabotage } from './world/broker-node.js';
import { WHOLE, World } from './world/world.js';

/** The fault occurs once per this many calls. */
const EVERY = 7;

/** True at some calls. */
function sometimes(): () => boolean {
  let calls = 0;
  return () => ++calls % EVERY === 0;
}

function broken(
  change: (good: MessageSink, isTime: () => boolean) => Partial<MessageSink>,
): Sabotage {
  return ({ messages, ...others }) => ({
    ...others,
    messages: { ...messages, ...change(messages, sometimes()) },
  });
}

describe('the simulation finds a broker that', () => {
  it.each<[string, RegExp, Sabotage]>([
    [
      'answers twice',
      /must not get/,
      broken((good, isTime) => ({
        reply: (...effect) => {
          const sent = good.reply(...effect);
          return isTime() ? good.reply(...effect) : sent;
        },
      })),
    ],
    [
      'loses a reply',
      /is not sent/,
      broken((good, isTime) => ({
        reply: (...effect) => (isTime() ? null : good.reply(...effect)),
      })),
    ],
    [
      'replies to the wrong peer',
      /which is gone|must not get/,
      broken((good, isTime) => ({
        reply: (peer, ...effect) => good.reply(isTime() ? peer + 1 : peer, ...effect),
      })),
    ],
    [
      'forgets the envelope',
      /must not get/,
      broken((good, isTime) => ({
        reply: (peer, path, ...effect) => {
          const bare = { ...path, envelopeEnd: path.envelopeStart };
          return good.reply(peer, isTime() ? bare : path, ...effect);
        },
      })),
    ],
    [
      'gives a request to the wrong worker',
      /which is gone|must not get|next worker|another service|without token/,
      broken((good, isTime) => ({
        request: (peer, ...effect) => good.request(isTime() ? peer + 1 : peer, ...effect),
      })),
    ],
    [
      'gives one token to two requests',
      /token is given twice/,
      broken((good) => ({
        request: (peer, version, token, ...effect) => {
          token.bytes.fill(0x41);
          good.request(peer, version, token, ...effect);
        },
      })),
    ],
    [
      'loses a request',
      /waits though a worker is available|should be/,
      broken((good, isTime) => ({
        request: (...effect) => {
          if (!isTime()) good.request(...effect);
        },
      })),
    ],
    [
      'forgets a heartbeat',
      /gets no heartbeat/,
      broken((good, isTime) => ({
        heartbeat: (...effect) => {
          if (!isTime()) good.heartbeat(...effect);
        },
      })),
    ],
    [
      'sends a heartbeat too many',
      /before its time|must not get/,
      broken((good, isTime) => ({
        heartbeat: (...effect) => {
          good.heartbeat(...effect);
          if (isTime()) good.heartbeat(...effect);
        },
      })),
    ],
    [
      'does not tell a worker to go',
      /is not sent/,
      broken((good, isTime) => ({
        disconnect: (...effect) => {
          if (!isTime()) good.disconnect(...effect);
        },
      })),
    ],
    [
      'tells a worker to go without need',
      /must not get/,
      broken((good, isTime) => ({
        heartbeat: (...effect) => {
          if (isTime()) good.disconnect(...effect);
          else good.heartbeat(...effect);
        },
      })),
    ],
    ['closes no slow client', /is not closed/, (good) => ({ ...good, close: () => {} })],
    [
      'gives a Simple Pirate a request without the delimiter (D32)',
      /must not get/,
      broken((good, isTime) => ({
        request: (peer, dialect, ...effect) => {
          good.request(peer, dialect === DELIMITED && isTime() ? BARE : dialect, ...effect);
        },
      })),
    ],
  ])('%s', (_what, message, sabotage) => {
    expect(firstFailure((seed) => new World(seed, WHOLE, false, sabotage).run())).toMatch(message);
  });
});
