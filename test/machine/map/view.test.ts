import type { MapEntry } from '../../../src/admin/api/node-answers.js';
import type { Page } from '../../../src/admin/api/words.js';
import { type MapPageQuery, mapView } from '../../../src/extensions/map/view.js';
import { Stage } from './stage.js';

const ALL: MapPageQuery = {
  ...{ cursor: null, limit: 100, key: null, keyMatch: 'prefix', valueBytes: null },
};

function page(stage: Stage, query: Partial<MapPageQuery> = {}): Page<MapEntry> {
  const view = mapView(stage.machine);
  const shown = view === 'not_ready' ? null : view({ ...ALL, ...query });
  if (shown === null) throw new Error('no page');
  return shown;
}

function keys(stage: Stage, key: string, keyMatch: MapPageQuery['keyMatch']): readonly string[] {
  return page(stage, { key: Buffer.from(key, 'latin1'), keyMatch }).items.map((each) => each.key);
}

describe('the map, as people see it', () => {
  it('has who set a key last: its key, or its address without one', () => {
    const stage = Stage.serving();
    stage.put('/a', '1', { writer: 'key:shop' });
    stage.put('/b', '1');
    const writers = (): readonly unknown[] => page(stage).items.map(({ writer }) => writer);
    expect(writers()).toEqual(['shop', '127.0.0.1']);
    // Also if it only renews it.
    stage.put('/b', '1', { writer: 'key:shop' });
    stage.put('/a', '2');
    expect(writers()).toEqual(['127.0.0.1', 'shop']);
    // A place that is used again is that of another key.
    stage.put('/a', '');
    stage.machine.services.set(Buffer.from('echo'), true);
    stage.commit();
    expect(page(stage).items).toMatchObject([
      { key: '/mmi/service/echo', writer: null },
      { key: '/b', writer: 'shop' },
    ]);
  });

  it('does not know it after a start, and what has no time to live never expires', () => {
    const stage = Stage.serving();
    stage.put('/a', '1', { writer: 'key:shop', ttl: 60 });
    stage.put('/b', '1');
    stage.turn(20_000);
    expect(page(stage).items).toMatchObject([
      { key: '/a', ttlMs: 60_000, expiresInMs: 40_000, writer: 'shop' },
      { key: '/b', ttlMs: null, expiresInMs: null },
    ]);
    const again = new Stage({ tables: stage.tables });
    again.load();
    // A node that does not serve ends no key.
    expect(page(again).items[0]).toMatchObject({ ttlMs: 60_000, expiresInMs: null, writer: null });
    again.activate(2);
    expect(page(again).items[0]).toMatchObject({ expiresInMs: 60_000, writer: null });
  });

  it('is searched by the beginning of keys, or by a part of them', () => {
    const stage = Stage.serving();
    for (const key of ['/config/limit', '/workers/eu', '/config/eu']) stage.put(key, '1');
    stage.kvset([Buffer.of(0xff), 'x', '', '', '1']);
    stage.commit();
    expect(keys(stage, '/config/', 'prefix')).toEqual(['/config/limit', '/config/eu']);
    expect(keys(stage, 'eu', 'prefix')).toEqual([]);
    expect(keys(stage, 'eu', 'substring')).toEqual(['/workers/eu', '/config/eu']);
    expect(keys(stage, '\xff', 'substring')).toEqual(['%FF']);
  });

  it('has the beginning of long values, without half a character', () => {
    const stage = Stage.serving();
    stage.put('/text', Buffer.from('aé€😀'));
    stage.put('/bytes', Buffer.alloc(600, 0x80));
    const values = (valueBytes: number | null): readonly unknown[] =>
      page(stage, { valueBytes }).items.map(({ value }) => value);
    expect(values(2)[0]).toEqual({ bytes: 10, encoding: 'utf8', data: 'a' });
    expect(values(5)[0]).toEqual({ bytes: 10, encoding: 'utf8', data: 'aé' });
    expect(values(9)[0]).toEqual({ bytes: 10, encoding: 'utf8', data: 'aé€' });
    expect(values(10)[0]).toEqual({ bytes: 10, encoding: 'utf8', data: 'aé€😀' });
    expect(values(0)[0]).toEqual({ bytes: 10, encoding: 'utf8', data: '' });
    expect(values(null)[1]).toMatchObject({ bytes: 600, encoding: 'base64' });
    expect(values(9)[1]).toMatchObject({ bytes: 600, encoding: 'base64' });
  });

  it('has as many keys on a page as a mebibyte of what it shows of them', () => {
    const stage = Stage.serving({ bytesMax: 10_000_000 });
    for (const key of ['/a', '/b', '/c']) stage.put(key, Buffer.alloc(1_500_000));
    expect(page(stage, { valueBytes: null })).toMatchObject({ items: [{ key: '/a' }], next: '1' });
    const cut = page(stage, { valueBytes: 200 });
    expect(cut.items.map(({ value: { bytes } }) => bytes)).toEqual([1.5e6, 1.5e6, 1.5e6]);
    expect(cut.next).toBeNull();
  });
});
