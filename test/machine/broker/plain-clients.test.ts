import { endStages } from '../../support/stage.js';
import { freelance, MDP, pirateStage, plain, simple } from '../../support/stage-pirates.js';

afterEach(endStages);

describe('a plain client', () => {
  it.each([
    { envelope: [] },
    { envelope: ['a'] },
    { envelope: ['\x01', 'MDPC01', '3', '4', '5', '6', '7', '8'] },
  ])('gets its reply in the envelope that it sent: $envelope (D30)', ({ envelope }) => {
    const s = pirateStage();
    const w = s.worker('w', { listener: MDP }).ready('echo');
    const c = plain(s, 'c');
    for (const n of ['1', '2', '3']) {
      c.sends(...envelope, '', n);
      expect(w.inbox()).toEqual([`REQUEST ${n}`]);
      w.final([n, '!']);
      expect(c.raw()).toEqual([[...envelope, '', n, '!']]);
    }
    // The first one tells what the others look like.
    expect(s.packed).toBe(envelope.length > 1 || envelope[0]?.length === 6 ? 0 : 2);
  });

  it('may send a body of several frames, and of an empty one', () => {
    const s = pirateStage();
    const w = s.worker('w', { listener: MDP }).ready('echo');
    const c = plain(s, 'c');
    c.sends('', 'x', '', 'z');
    expect(w.inbox()).toEqual(['REQUEST x||z']);
    w.final('');
    expect(c.raw()).toEqual([['', '']]);
    c.sends('', '');
    expect(w.inbox()).toEqual(['REQUEST ']);
  });

  it('gets the parts of a reply as one (D30)', () => {
    const s = pirateStage();
    const w = s.worker('w', { listener: MDP }).ready('echo');
    const c = plain(s, 'c');
    c.sends('', 'x');
    w.partial('1').partial(['2', '3']);
    expect(c.raw()).toEqual([]);
    w.final('4');
    expect(c.raw()).toEqual([['', '1', '2', '3', '4']]);
  });

  it.each([
    { sends: ['x'], kind: 'envelope' },
    { sends: ['1', '2', '3', '4', '5', '6', '7', '8', '9', '', 'x'], kind: 'envelope' },
    { sends: ['a', ''], kind: 'client' },
  ])('that sends $sends is not answered, and counted (D30)', ({ sends, kind }) => {
    const s = pirateStage();
    const c = plain(s, 'c');
    c.sends(...sends);
    expect(s.events('message.malformed')).toMatchObject([{ kind }]);
    expect(c.raw()).toEqual([]);
    expect(c.closedByBroker).toBe(false);
  });

  it('what looks like MDP is a body there (D30)', () => {
    const s = pirateStage();
    const w = s.worker('w', { listener: MDP }).ready('echo');
    const c = plain(s, 'c');
    c.sends('', 'MDPC01', 'mmi.service', 'echo');
    expect(w.inbox()).toEqual(['REQUEST MDPC01|mmi.service|echo']);
  });

  it('hears nothing of a refusal or a failure (D31)', () => {
    const s = pirateStage({ limits: { queuedRequests: 1 } });
    const c = plain(s, 'c');
    c.sends('', 'held');
    c.sends('', 'refused');
    expect(c.raw()).toEqual([]);
    expect(s.events('request.refused')).toMatchObject([{ service: 'echo', reason: 'limit' }]);
    s.worker('w', { listener: MDP }).ready('echo').fails(['error', '400', 'no']);
    expect(c.raw()).toEqual([]);
    expect(s.events('request.failed')).toMatchObject([{ service: 'echo', code: '400' }]);
  });

  it('its request is held, and counts as a vote, while the pair votes (D31, D13)', () => {
    const s = pirateStage();
    const w = simple(s, 'w').ready();
    const c = plain(s, 'c');
    s.input((broker, now) => broker.setAdmission('voting', now));
    s.batch(() => {
      c.sends('', 'x');
      expect(s.votes).toBeGreaterThan(0);
      s.input((broker, now) => broker.setAdmission('serving', now));
    });
    expect(w.inbox()).toEqual(['x']);
    w.final('X');
    expect(c.raw()).toEqual([['', 'X']]);
  });
});

describe('a Freelance client', () => {
  it('gets the control frame back with its reply, also an empty one (10/FLP)', () => {
    const s = pirateStage();
    const w = s.worker('w', { listener: MDP }).ready('echo');
    const c = freelance(s, 'c');
    for (const control of ['\0\0\0\x01', '', 'PING', 'sixteen', 'longer than that']) {
      c.sends(control, 'x', 'y');
      expect(w.inbox()).toEqual(['REQUEST x|y']);
      w.final(['X', 'Y']);
      expect(c.raw()).toEqual([[control, 'X', 'Y']]);
      c.sends(control, 'z');
      expect(w.inbox()).toEqual(['REQUEST z']);
      w.final('Z');
      expect(c.raw()).toEqual([[control, 'Z']]);
    }
    expect(s.packed).toBeGreaterThan(0);
  });

  it('gets PONG for PING while this node serves clients (D38)', () => {
    const s = pirateStage();
    const c = freelance(s, 'c');
    c.sends('PING');
    expect(c.raw()).toEqual([['PONG']]);
    s.input((broker, now) => broker.setAdmission('refusing', now));
    c.sends('PING');
    s.input((broker, now) => broker.setAdmission('voting', now));
    c.sends('PING');
    expect(c.raw()).toEqual([]);
    expect(s.votes).toBe(0);
    s.input((broker, now) => broker.setAdmission('serving', now));
    c.sends('PING');
    expect(c.raw()).toEqual([['PONG']]);
    s.input((broker, now) => broker.drain(now));
    c.sends('PING');
    expect(c.raw()).toEqual([]);
  });

  it('its request is for the service of the listener, whatever it says, also after it was held', () => {
    const s = pirateStage();
    const w = simple(s, 'w').ready();
    const c = freelance(s, 'c');
    s.input((broker, now) => broker.setAdmission('voting', now));
    s.batch(() => {
      c.sends('1', 'mmi.service', 'echo');
      s.input((broker, now) => broker.setAdmission('serving', now));
    });
    expect(w.inbox()).toEqual(['mmi.service|echo']);
    w.final('X');
    expect(c.raw()).toEqual([['1', 'X']]);
  });

  it('that sends one other frame is not answered (D38)', () => {
    const s = pirateStage();
    const c = freelance(s, 'c');
    c.sends('PONG');
    c.sends('PING\0');
    const reason = 'a message of one frame must be PING';
    expect(s.events('message.malformed')).toMatchObject(
      Array(2).fill({ kind: 'client', command: null, frame: 1, reason }),
    );
    expect(c.raw()).toEqual([]);
  });

  it('equal control frames are two requests (D39)', () => {
    const s = pirateStage();
    const w = simple(s, 'w').ready();
    const c = freelance(s, 'c');
    c.sends('1', 'x');
    c.sends('1', 'x');
    expect(w.inbox()).toEqual(['x']);
    w.final('first');
    expect(w.inbox()).toEqual(['x']);
    w.final('second');
    expect(c.raw()).toEqual([
      ['1', 'first'],
      ['1', 'second'],
    ]);
  });
});
