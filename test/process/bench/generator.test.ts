/** The load generator of bench/: compiled and run once, against a broker of ours. */
import { compileGenerator, type Load, type LoadTarget, runLoad } from '../../../bench/generator.js';
import {
  type Daemon,
  removeDaemons,
  startDaemon,
  temporaryDirectory,
} from '../../support/daemon.js';
import { itWithTool } from '../../support/tools.js';

afterEach(removeDaemons);

function targetOf(daemon: Daemon): LoadTarget {
  return { protocol: 'mdp', port: Number(new URL(daemon.endpoint).port), pid: daemon.pid };
}

const WINDOW = { seconds: 1, warmupSeconds: 0.1 };
const LOAD: Load = { clients: 3, workers: 2, outstanding: 20, credit: 10 };

describe('the load generator', () => {
  itWithTool(
    'gcc and libzmq3-dev',
    'plays clients and workers of a broker, and tells what a request cost it',
    async () => {
      const daemon = await startDaemon();
      const generator = compileGenerator(temporaryDirectory());
      const result = await runLoad(generator, LOAD, targetOf(daemon), WINDOW, null);
      expect(result.requests).toBeGreaterThan(100);
      expect(result.seconds).toBeGreaterThanOrEqual(WINDOW.seconds);
      expect(result.p50Us).toBeGreaterThan(0);
      expect(result.p99Us).toBeGreaterThanOrEqual(result.p50Us);
      expect(result.p999Us).toBeGreaterThanOrEqual(result.p99Us);
      expect(result.loadCpuSeconds).toBeGreaterThan(0);
      expect(result.brokerCpuSeconds).toBeGreaterThan(0);
      expect(result.brokerResidentBytes).toBeGreaterThan(2 ** 20);
      // With many services, single writes, an open loop, idle connections and a queue.
      const more: Load = {
        ...LOAD,
        workers: 6,
        services: 3,
        single: true,
        rate: 500,
        size: 300,
        idle: 5,
        queued: 100,
      };
      const open = await runLoad(generator, more, targetOf(daemon), WINDOW, null);
      expect(open.requests).toBeGreaterThan(10);
      expect(open.requests).toBeLessThan(500 * open.seconds * 2);
      expect(daemon.logged('worker.lost').filter(({ reason }) => reason === 'protocol')).toEqual(
        [],
      );
    },
  );

  itWithTool(
    'gcc and libzmq3-dev',
    'says why it ends when the broker refuses its workers',
    async () => {
      const daemon = await startDaemon({ sets: ['limits.workers=1'] });
      const generator = compileGenerator(temporaryDirectory());
      const run = runLoad(generator, LOAD, targetOf(daemon), WINDOW, null);
      await expect(run).rejects.toThrow(/worker \d+ was sent command 6/);
    },
  );
});
