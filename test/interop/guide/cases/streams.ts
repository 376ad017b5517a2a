/** Chapter 5: the Suicidal Snail. */
import type { Line, Program } from '../../support/program.js';
import type { Case } from '../support/case.js';
import { type Place, printed } from '../support/place.js';

const PUBLISHER = 'tcp://localhost:5556';
/** More than the millisecond between two messages. */
const SLOW_WORK_MS = 20;

/** `suisnail` prints on its error output why it ends; on the other one, each message. */
async function readSnail(
  place: Place,
  workMs: number,
): Promise<{ readonly snail: Program; readonly ours: Line }> {
  const reader = place.sdk('snail', PUBLISHER, workMs);
  await reader.waitFor('ready');
  const snail = place.program('suisnail');
  return { snail, ours: await reader.waitFor('ended') };
}

export const STREAMS: readonly Case[] = [
  {
    programs: ['suisnail'],
    shows: 'a Subscriber of the SDK receives what its subscriber receives, and lives as long as it',
    run: async (place) => {
      const { snail, ours } = await readSnail(place, 0);
      expect(ours).toMatchObject({ end: 'publisher gone' });
      const received = ours['received'] as string[];
      const stamps = (await printed(snail)).split('\n');
      const [first = ''] = received;
      const both = stamps.filter((stamp) => stamp >= first);
      expect(both.length).toBeGreaterThan(stamps.length / 2);
      expect(received).toEqual(expect.arrayContaining(both));
    },
  },
  {
    programs: ['suisnail'],
    shows: 'a Subscriber of the SDK that is too slow for it dies with ERR_STREAM_TOO_SLOW',
    run: async (place) => {
      const { ours } = await readSnail(place, SLOW_WORK_MS);
      expect(ours).toMatchObject({ end: 'ERR_STREAM_TOO_SLOW' });
      expect(ours['received']).not.toHaveLength(0);
    },
  },
];
