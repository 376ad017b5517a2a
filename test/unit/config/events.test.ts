import { exposures } from '../../../src/config/io/exposure.js';
import { diff } from '../../../src/config/diff.js';
import type { PublisherConfig } from '../../../src/config/entries.js';
import { load, problemsOf } from './support.js';

const ENDPOINT = 'tcp://127.0.0.1:5561';
const CURVE = 'curve: {secretKeyFile: broker.key, keysFile: keys.yaml}';

function listenOf(written: string): PublisherConfig | null {
  return load({ text: `events: {listen: ${written}}` }).config.events.listen;
}

async function openOf(written: string): Promise<readonly string[]> {
  const found = await exposures(load({ text: `events:\n  listen: ${written}\n` }));
  return found.map(({ place, path, message }) => {
    return `${/\d+:\d+$/.exec(place)?.[0] ?? place} ${path}: ${message}`;
  });
}

describe('events.listen', () => {
  it('is off unless something is written, and may be an endpoint or a map', () => {
    expect(load({}).config.events.listen).toBe(null);
    expect(listenOf('off')).toBe(null);
    expect(listenOf(ENDPOINT)).toEqual({ endpoint: ENDPOINT, insecure: false });
    expect(listenOf(`{endpoint: '${ENDPOINT}'}`)).toEqual({ endpoint: ENDPOINT, insecure: false });
    expect(listenOf(`{endpoint: ipc:///tmp/events, insecure: true}`)).toEqual({
      endpoint: 'ipc:///tmp/events',
      insecure: true,
    });
    expect(listenOf(`{endpoint: '${ENDPOINT}', ${CURVE}}`)).toEqual({
      endpoint: ENDPOINT,
      insecure: false,
      curve: { secretKeyFile: 'broker.key', keysFile: 'keys.yaml' },
    });
  });

  it('may be given by a variable, as the other keys', () => {
    const { config } = load({ environment: { MAJORDOMO_EVENTS__LISTEN: ENDPOINT } });
    expect(config.events.listen).toEqual({ endpoint: ENDPOINT, insecure: false });
  });

  it.each([
    [`{endpont: '${ENDPOINT}'}`, 'events.listen.endpont: unknown key; did you mean endpoint'],
    [`{endpoint: '${ENDPOINT}', allow: [client]}`, 'events.listen.allow: unknown key'],
    [`{endpoint: '${ENDPOINT}', curve: {secretKeyFile: a, keyFile: b}}`, 'did you mean keysFile'],
    [`{endpoint: '${ENDPOINT}', insecure: 1}`, 'events.listen.insecure: '],
    [`{insecure: true}`, 'events.listen.endpoint: '],
    [`[${ENDPOINT}]`, 'events.listen: '],
    ['true', 'events.listen: '],
    ['5561', 'events.listen: '],
    ['udp://127.0.0.1:5561', 'events.listen: '],
    ['tcp://127.0.0.1', 'events.listen: '],
  ])('%s is refused', (written, message) => {
    const problems = problemsOf({ text: `events: {listen: ${written}}` });
    expect(problems.join('\n')).toContain(message);
    expect(problems.every((each) => each.startsWith('FILE:1:'))).toBe(true);
  });

  it('has either keys or insecure, as a listener has', () => {
    const text = `events: {listen: {endpoint: '${ENDPOINT}', insecure: true, ${CURVE}}}`;
    expect(problemsOf({ text })).toEqual([
      expect.stringContaining('events.listen.insecure: contradicts curve: remove one of the two'),
    ]);
  });

  it('cannot be where the broker listens', () => {
    const text = `broker: {listen: '${ENDPOINT}'}\nevents: {listen: 'tcp://*:5561'}`;
    expect(problemsOf({ text })).toEqual([
      `FILE:2:18: events.listen: tcp://*:5561 cannot be bound beside broker.listen ${ENDPOINT}`,
    ]);
  });

  it('off loopback has keys, or says that it is open; the message has both lines (D78)', async () => {
    expect(await openOf(ENDPOINT)).toEqual([]);
    expect(await openOf('ipc:///tmp/events')).toEqual([]);
    expect(await openOf("{endpoint: 'tcp://*:5561', insecure: true}")).toEqual([]);
    expect(await openOf(`{endpoint: 'tcp://*:5561', ${CURVE}}`)).toEqual([]);
    const [problem = '', ...others] = await openOf("'tcp://*:5561'");
    expect(others).toEqual([]);
    expect(problem).toMatch(/^2:11 events\.listen: tcp:\/\/\*:5561 is not on loopback/);
    for (const remedy of [`{endpoint: 'tcp://*:5561', ${CURVE}}`, 'insecure: true', '--init']) {
      expect(problem).toContain(remedy);
    }
  });

  it('changes with a restart, its secret keys with SIGHUP', () => {
    const of = (written: string) => load({ text: `events: {listen: ${written}}` }).config;
    const sealed = of(`{endpoint: '${ENDPOINT}', ${CURVE}}`);
    const two = 'curve: {secretKeyFile: [broker.key, next.key], keysFile: keys.yaml}';
    const others = 'curve: {secretKeyFile: broker.key, keysFile: others.yaml}';
    const keysOf = (to: string): [number, number] => {
      const { live, restart } = diff(sealed, of(to));
      return [live.length, restart.length];
    };
    expect(keysOf(`{endpoint: '${ENDPOINT}', ${CURVE}}`)).toEqual([0, 0]);
    expect(keysOf(`{endpoint: '${ENDPOINT}', ${two}}`)).toEqual([1, 0]);
    expect(keysOf(`{endpoint: '${ENDPOINT}', ${others}}`)).toEqual([0, 1]);
    expect(keysOf('off')).toEqual([0, 1]);
  });
});
