/**
 * A pair under load that hands over and restarts, one node after the other: neither is a death, so no request runs
 * twice, and none fails. Half of the requests may run once only (`once`): these would fail instead.
 */
import { setTimeout as pause } from 'node:timers/promises';

import { codeOf, messageOf } from '../../src/core/errors.js';
import { Client } from '../../src/sdk/client.js';
import { Worker } from '../../src/sdk/worker.js';
import { otherOf, type PairRole, startPairOfDaemons } from '../support/pair-daemons.js';
import { silent } from '../support/silent.js';
import { until } from '../support/until.js';

export interface HandoverBound {
  readonly switchovers: number;
  /** Nodes that end by SIGTERM, and start again. */
  readonly restarts: number;
  /** How long each request takes. */
  readonly handlerMs: number;
}

export interface HandoverTally {
  answered: number;
  /** Runs after the first of a request. */
  secondRuns: number;
  /** Errors and how often they came. */
  readonly failed: Record<string, number>;
}

const SERVICE = 'slow';
const LANES = 8;
/** Longer than a node may take to come back, on a busy machine. */
const CALL_MS = 300_000;
/** Beyond the handler: the drain lasts longer than what is at workers. */
const GRACE_MS = 60_000;

export async function handOver(
  bound: HandoverBound,
  say: (text: string) => void = () => undefined,
): Promise<HandoverTally> {
  const pair = await startPairOfDaemons({
    heartbeatIntervalMs: 2000,
    sets: [`shutdown.graceMs=${GRACE_MS}`],
  });
  const tally: HandoverTally = { answered: 0, secondRuns: 0, failed: {} };
  const begun = new Set<string>();
  const worker = new Worker(
    { endpoints: pair.endpoints, service: SERVICE, concurrency: 2 * LANES },
    async (request) => {
      const name = request.text();
      if (begun.has(name)) tally.secondRuns++;
      begun.add(name);
      await pause(bound.handlerMs);
      return name;
    },
  );
  void silent(worker).run();
  const client = new Client({ endpoints: pair.endpoints, timeoutMs: CALL_MS });
  let isOver = false;
  const lane = async (number: number): Promise<void> => {
    for (let count = 0; !isOver; count++) {
      const name = `${number}.${count}`;
      try {
        await client.request(SERVICE, name, { once: number % 2 === 1 });
        tally.answered++;
      } catch (error) {
        const why = `${codeOf(error) ?? ''} ${messageOf(error)}`;
        tally.failed[why] = (tally.failed[why] ?? 0) + 1;
      }
    }
  };
  const lanes = Array.from({ length: LANES }, (_, number) => lane(number));
  /** Requests that were sent to one node are at workers now, whichever that was. */
  const goesOn = async (): Promise<void> => {
    const enough = tally.answered + LANES;
    await until(() => tally.answered >= enough, 'requests are answered');
  };
  const restart = async (role: PairRole): Promise<void> => {
    await pair.node(role).stop();
    await pair.start(role);
    await pair.inSync();
  };
  for (let at = 0; at < bound.switchovers; at++) {
    await goesOn();
    await pair.switchedOver(await pair.inSync());
    if (at % 10 === 9) say(`${at + 1} switchovers: ${JSON.stringify(tally)}`);
  }
  for (let at = 0; at < bound.restarts; at++) {
    await goesOn();
    const active = await pair.inSync();
    // As an upgrade does it: the passive node first, and then the active one.
    await restart(at % 2 === 0 ? otherOf(active) : active);
    if (at % 10 === 9) say(`${at + 1} restarts: ${JSON.stringify(tally)}`);
  }
  await goesOn();
  isOver = true;
  await Promise.all(lanes);
  await Promise.all([client.close(), worker.close()]);
  return tally;
}
