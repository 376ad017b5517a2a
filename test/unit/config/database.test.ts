import { type Given, problemsOf } from './support.js';

const STORE = 'titanic: {enabled: true, store: "postgresql://majordomo@127.0.0.1/queue"}';

function large(size: string): Given {
  return { text: `${STORE}\nlimits: {messageBytes: ${size}, outputBytes: 1GiB}` };
}

describe('with a store in a database', () => {
  it('a message has at most 200 MiB: what is read comes as text, which has to fit in a string', () => {
    expect(problemsOf(large('201MiB'))).toEqual([
      'FILE:2:24: limits.messageBytes: 201MiB is too much for titanic.store: in a database, requests and replies have at most 200MiB; set limits.messageBytes: 200MiB',
    ]);
    expect(problemsOf(large('200MiB'))).toEqual([]);
  });

  it('there is no pair and no map', () => {
    const text = `${STORE}\nbstar: {role: primary, listen: "tcp://127.0.0.1:1", peer: "tcp://127.0.0.1:2"}\nmap: {listen: "tcp://127.0.0.1:7000"}`;
    const problems = problemsOf({ text });
    expect(problems.join('\n')).toContain('the database is replicated, not the broker');
    expect(problems.join('\n')).toContain('set bstar.role: standalone');
    expect(problems.join('\n')).toContain('set map.listen: off');
  });

  it.each([
    ['postgresql://u:secret@h/x', 'storePasswordFile'],
    ['postgresql://h/x', 'the user is missing'],
    ['mysql://h/x', 'expected sqlite'],
  ])('%s is refused, without repeating a password', (store, why) => {
    const problems = problemsOf({ text: `titanic: {enabled: true, store: "${store}"}` }).join('\n');
    expect(problems).toContain(why);
    expect(problems).not.toContain('secret');
  });
});
