import { problemsOf } from './support.js';

function hint(line: string | undefined): string {
  return line?.replace(/^.*unknown key(; did you mean )?/, '') ?? 'no problem';
}

const ELSEWHERE: readonly (readonly [string, string])[] = [
  ['titanic.dataDir', 'node.dataDir'],
  ['titanic.data_dir', 'node.dataDir'],
  ['dataDir', 'node.dataDir'],
  ['bstar.heartbeatLiveness', 'broker.heartbeatLiveness'],
  ['log.graceMs', 'shutdown.graceMs'],
  ['http.keyFile', 'http.tls.keyFile'],
  ['broker.curve', 'broker.listen[].curve'],
  ['map.insecure', 'map.listen.insecure'],
  ['node.role', 'bstar.role or http.tokens[].role'],
  ['titanic.stored', 'store or limits.perPeer.stored or limits.quotas.NAME.stored'],
  ['broker.http', 'http'],
];
const NOWHERE = [
  'titanic.listen',
  'broker.name',
  'node.colour',
  'node.x',
  'colour',
  'http.constructor',
];

describe('a key that is not where it was written', () => {
  it.each(ELSEWHERE)('%s: the message names %s', (key, meant) => {
    const [section = '', name] = key.split('.');
    const text = name === undefined ? `${section}: 1` : `${section}: {${name}: 1}`;
    expect(problemsOf({ text }).map(hint)).toEqual([meant]);
    const bySet = meant.replace(/^store /, 'titanic.store ');
    expect(problemsOf({ sets: [`${key}=1`] }).map(hint)).toEqual([bySet]);
  });

  it.each(NOWHERE)('%s, whose name is nowhere else, or in many places, gets no hint', (key) => {
    expect(problemsOf({ sets: [`${key}=1`] }).map(hint)).toEqual(['']);
  });

  it('is named as a variable where the environment has it', () => {
    const environment = { MAJORDOMO_TITANIC__DATA_DIR: '1', MAJORDOMO_BROKER__ALLOW: '1' };
    expect(problemsOf({ environment }).map(hint)).toEqual([
      'broker.listen[].allow',
      'MAJORDOMO_NODE__DATA_DIR',
    ]);
  });

  it('in a section with a wrong name is found there by its name', () => {
    expect(problemsOf({ sets: ['brokr.heartbeetLiveness=1', 'brokerlisten=1'] }).map(hint)).toEqual(
      ['broker.heartbeatLiveness', 'broker.listen'],
    );
  });
});
