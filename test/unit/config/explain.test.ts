import { diff, withLiveKeys } from '../../../src/config/diff.js';
import { explain } from '../../../src/config/explain.js';
import { SECTIONS } from '../../../src/config/schema-data.js';
import { load, OPEN } from './support.js';

const MASK = '********';

describe('explain', () => {
  const loaded = load({
    text: 'broker:\n  maxDeliveries: 5\nhttp:\n  token: sixteen-letters-or-more\n',
    environment: { MAJORDOMO_LIMITS__FRAMES: '99' },
    sets: ['log.level=warn', 'broker.listen=tcp://*:1'],
  });
  const byKey = new Map(explain(loaded).map((one) => [one.key, one]));

  it('tells of every key where its value came from', () => {
    expect(byKey.get('broker.maxDeliveries')).toMatchObject({ value: 5, source: 'file' });
    expect(byKey.get('broker.maxDeliveries')?.place).toMatch(/majordomo\.yaml:2:18$/);
    expect(byKey.get('limits.frames')).toEqual({
      key: 'limits.frames',
      value: 99,
      source: 'environment',
      place: 'environment MAJORDOMO_LIMITS__FRAMES',
    });
    expect(byKey.get('log.level')).toMatchObject({ source: 'set', place: '--set #1' });
    expect(byKey.get('broker.listen')).toMatchObject({
      value: [{ endpoint: 'tcp://*:1', ...OPEN }],
      place: '--set #2',
    });
    expect(byKey.get('node.name')).toEqual({
      key: 'node.name',
      value: 'here',
      source: 'default',
      place: null,
    });
    const keys = Object.entries(SECTIONS).flatMap(([section, { keys: rows }]) =>
      Object.keys(rows).map((key) => `${section}.${key}`),
    );
    expect([...byKey.keys()]).toEqual(keys);
  });

  it('masks secrets', () => {
    expect(byKey.get('http.token')?.value).toBe(MASK);
    expect(JSON.stringify(explain(loaded))).not.toContain('sixteen');
  });
});

describe('keys of the pair on a standalone node', () => {
  it('are warned of by name, where they were set', () => {
    const warned = (...sets: string[]): string[] =>
      load({ sets }).warnings.map(({ place, path, message }) => `${place}: ${path} ${message}`);
    expect(warned('titanic.maxOpen=5', 'http.listen=127.0.0.1:1', 'bstar.pair=x')).toEqual([
      '--set #3: bstar.pair has no effect while bstar.role is standalone',
    ]);
    expect(warned('http.listen=off', 'bstar.role=standalone', 'bstar.peer=null')).toEqual([]);
    expect(warned('titanic.enabled=false', 'broker.maxDeliveries=2')).toEqual([]);
  });
});

describe('diff, for SIGHUP', () => {
  it('parts what can be applied at once (log level, limits) from what needs a restart', () => {
    const before = load({}).config;
    const after = load({
      sets: ['log.level=debug', 'limits.workers=5', 'log.format=json', 'broker.listen=tcp://*:1'],
    }).config;
    const { live, restart } = diff(before, after);
    expect(live).toEqual([
      { key: 'limits.workers', from: 10_000, to: 5 },
      { key: 'log.level', from: 'info', to: 'debug' },
    ]);
    expect(restart.map(({ key }) => key)).toEqual(['broker.listen', 'log.format']);
    expect(diff(before, load({}).config)).toEqual({ live: [], restart: [] });
  });

  it('applies the live keys only: any other keeps its value, also beside a live one', () => {
    const before = load({}).config;
    const after = load({
      sets: ['log.level=debug', 'limits.workers=5', 'log.format=json', 'broker.listen=tcp://*:1'],
    }).config;
    const applied = withLiveKeys(before, after);
    expect(diff(before, applied).restart).toEqual([]);
    expect(diff(before, applied).live).toEqual(diff(before, after).live);
    expect(diff(applied, after)).toEqual({ live: [], restart: diff(before, after).restart });
    expect(withLiveKeys(before, load({}).config)).toEqual(before);
  });

  it('exchanges files of secret keys of zmtp while it runs, and nothing else of a listener', () => {
    const listener = (key: string, more = ''): string =>
      `broker.listen=[{endpoint: "tcp://*:1", curve: {secretKeyFile: ${key}, keysFile: k}${more}}]`;
    const changed = (from: string, to: string): string[][] => {
      const [before, after] = [load({ sets: [from] }).config, load({ sets: [to] }).config];
      const { live, restart } = diff(before, after);
      const applied = withLiveKeys(before, after).broker.listen;
      expect(applied).toEqual((restart.length > 0 ? before : after).broker.listen);
      return [live, restart].map((changes) => changes.map(({ key }) => key));
    };
    expect(changed(listener('/a'), listener('/b'))).toEqual([['broker.listen'], []]);
    const [libzmq, minimal] = [', transport: libzmq', ', mmi: minimal'];
    expect(changed(listener('/a', libzmq), listener('/b', libzmq))).toEqual([
      [],
      ['broker.listen'],
    ]);
    expect(changed(listener('/a'), listener('/b', minimal))).toEqual([[], ['broker.listen']]);
  });

  it('has every limit among the live ones, and masks secrets', () => {
    expect(Object.values(SECTIONS['limits']?.keys ?? {}).every(({ live }) => live)).toBe(true);
    const { live } = diff(
      load({}).config,
      load({ sets: ['http.token=sixteen-letters-or-more'] }).config,
    );
    expect(live).toEqual([{ key: 'http.token', from: null, to: MASK }]);
  });
});
