import { endTitanicStages, titanicStage } from '../../support/titanic-stage.js';

afterEach(endTitanicStages);

describe('a stored request that is followed (docs/logs.md)', () => {
  it('tells its steps under the beginning of its uuid alone', () => {
    const s = titanicStage({ titanic: { retryBaseMs: 100 } });
    const steps: string[] = [];
    s.titanic.follow(({ uuid, name, ...rest }) => {
      steps.push([uuid, name, ...Object.values(rest)].join(' '));
    });
    const [status, uuid = ''] = s.asks('request', 'echo', 'hi').split('|');
    expect(status).toBe('200');
    s.worker('w1').ready('echo').saysDisconnect();
    s.worker('w2').ready('echo');
    s.after(1000);
    s.asks('reply', uuid);
    s.asks('close', uuid);
    s.titanic.follow(null);
    s.asks('request', 'echo', 'unheard');
    const id = uuid.slice(0, 16);
    expect(steps).toEqual([
      `${id} titanic.accepted echo`,
      `${id} titanic.dispatched 1`,
      `${id} titanic.failed 1 disconnected`,
      `${id} titanic.dispatched 2`,
      `${id} titanic.ended closed`,
    ]);
  });

  it('ends as replied or dead when that is on the disk', () => {
    const s = titanicStage({ titanic: { maxAttempts: 1 } });
    const ends: string[] = [];
    s.titanic.follow((step) => {
      if (step.name === 'titanic.ended') ends.push(step.outcome);
    });
    s.asks('request', 'echo', 'one');
    s.asks('request', 'echo', 'two');
    s.worker('w1').ready('echo').final('ONE').saysDisconnect();
    expect(ends).toEqual(['replied', 'dead']);
  });
});
