import { diff } from '../../../src/config/diff.js';
import { exposures } from '../../../src/config/io/exposure.js';
import { load, problemsOf } from './support.js';

const P = 'tcp://127.0.0.1:5700';
const CURVE = 'curve: {secretKeyFile: broker.key, keysFile: keys.yaml}';
const TAKES = `${P} takes this port and the next two`;

describe('map.listen', () => {
  it('is off unless something is written; limits.mapBytes can change while running', () => {
    const { config } = load({});
    expect(config.map.listen).toBe(null);
    expect(config.limits.mapBytes).toBe(256 * 1024 * 1024);
    const { config: larger } = load({ text: 'limits: {mapBytes: 1GiB}' });
    expect(diff(config, larger)).toMatchObject({ live: [{ key: 'limits.mapBytes' }], restart: [] });
    expect(load({ text: `map: {listen: ${P}}` }).config.map.listen).toEqual({
      endpoint: P,
      insecure: false,
    });
  });

  it('is no larger than limits.memoryBytes, in which it counts; by default half of it at most', () => {
    const sizes = (limits: string): string => `map: {listen: '${P}'}\nlimits: {${limits}}`;
    expect(problemsOf({ text: sizes('mapBytes: 33MiB, memoryBytes: 32MiB') })).toEqual([
      'FILE:2:20: limits.mapBytes: 33MiB are more than limits.memoryBytes (32MiB), in which all records of the map count: lower limits.mapBytes, or raise limits.memoryBytes',
    ]);
    expect(problemsOf({ text: sizes('mapBytes: 32MiB, memoryBytes: 32MiB') })).toEqual([]);
    expect(problemsOf({ text: 'limits: {mapBytes: 33MiB, memoryBytes: 32MiB}' })).toEqual([]);
    const { limits } = load({ text: sizes('memoryBytes: 32MiB') }).config;
    expect(limits.mapBytes).toBe(16 * 1024 * 1024);
  });

  it.each([
    ['broker', 5700],
    ['broker', 5702],
    ['events', 5701],
  ])('takes three ports, none of them that of %s.listen (%d)', (section, port) => {
    const other = `tcp://*:${port}`;
    const text = `map: {listen: '${P}'}\n${section}: {listen: '${other}'}`;
    expect(problemsOf({ text })).toEqual([
      `FILE:1:15: map.listen: ${TAKES}: port ${port} cannot be bound beside ${section}.listen ${other}; change one of them`,
    ]);
  });

  it('nor that of bstar.listen or http.listen', () => {
    const pair = `bstar: {role: primary, listen: '${P}', peer: 'tcp://127.0.0.1:9'}`;
    expect(problemsOf({ text: `map: {listen: '${P}'}\n${pair}` })).toEqual([
      expect.stringContaining(`port 5700 cannot be bound beside bstar.listen ${P}`),
    ]);
    const http = "http: {listen: '127.0.0.1:5701'}";
    expect(problemsOf({ text: `map: {listen: '${P}'}\n${http}` })).toEqual([
      expect.stringContaining('port 5701 cannot be bound beside http.listen 127.0.0.1:5701'),
    ]);
    const beside = "broker: {listen: 'tcp://127.0.0.1:5703'}";
    expect(problemsOf({ text: `map: {listen: '${P}'}\n${beside}` })).toEqual([]);
  });

  it('has no sockets in files, and no ports above the last one', () => {
    expect(problemsOf({ text: 'map: {listen: ipc:///tmp/map}' })).toEqual([
      'FILE:1:15: map.listen: ipc:///tmp/map: the map takes three ports in a row, so it needs an endpoint tcp://HOST:PORT',
    ]);
    expect(problemsOf({ text: 'map: {listen: tcp://127.0.0.1:65534}' })).toEqual([
      expect.stringContaining('the map takes this port and the next two; choose one up to 65533'),
    ]);
    expect(problemsOf({ text: 'map: {listen: tcp://127.0.0.1:65533}' })).toEqual([]);
  });

  it('needs the store of durable requests', () => {
    const text = `map: {listen: '${P}'}\ntitanic: {enabled: false}`;
    expect(problemsOf({ text })).toEqual([
      'FILE:1:15: map.listen: the map is kept in the store of durable requests: set titanic.enabled: true, or map.listen: off',
    ]);
  });

  it('needs replication on a node of a pair', () => {
    const pair = "bstar: {role: primary, listen: 'tcp://127.0.0.1:8', peer: 'tcp://127.0.0.1:9'}";
    const text = `map: {listen: '${P}'}\ntitanic: {replication: off}`;
    expect(problemsOf({ text })).toEqual([]);
    expect(problemsOf({ text: `${text}\n${pair}` })).toEqual([
      'FILE:1:15: map.listen: a failover would lose changes, because the nodes of this pair replicate nothing: set titanic.replication: sync, or map.listen: off',
    ]);
  });

  it('has either keys or insecure, and off loopback one of them (D78)', async () => {
    const both = `map: {listen: {endpoint: '${P}', insecure: true, ${CURVE}}}`;
    expect(problemsOf({ text: both })).toEqual([
      expect.stringContaining('map.listen.insecure: contradicts curve: remove one of the two'),
    ]);
    const open = async (written: string): Promise<readonly string[]> => {
      const found = await exposures(load({ text: `map: {listen: ${written}}` }));
      return found.map(({ path, message }) => `${path}: ${message}`);
    };
    expect(await open(`'${P}'`)).toEqual([]);
    const [found = ''] = await open(`'tcp://*:5700'`);
    expect(found).toContain('anyone who can reach it could read and change the map');
    expect(found).toContain(`listen: {endpoint: 'tcp://*:5700', curve: {`);
    expect(found).toContain(`listen: {endpoint: 'tcp://*:5700', insecure: true}`);
    expect(await open(`{endpoint: 'tcp://*:5700', insecure: true}`)).toEqual([]);
    expect(await open(`{endpoint: 'tcp://*:5700', ${CURVE}}`)).toEqual([]);
  });
});
