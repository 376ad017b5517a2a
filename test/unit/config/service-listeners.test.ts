import { serviceFault, withoutPublic } from '../../../src/config/service-listeners.js';
import type { Config } from '../../../src/config/config.js';
import { load, problemsOf } from './support.js';

const AT = 'endpoint: tcp://127.0.0.1:5556';

function configOf(text: string): Config {
  return load({ text }).config;
}

describe('a listener for one service', () => {
  it('is part of the configuration', () => {
    const { broker } = configOf(
      `broker: {listen: [{${AT}, service: up, allow: [client], public: 'tcp://a:1'}]}`,
    );
    expect(broker.listen).toMatchObject([
      { service: 'up', public: 'tcp://a:1', client: ['*'], worker: [] },
    ]);
  });

  it.each([
    ['service: mmi.x, allow: [worker]', 'service', 'belong to the broker'],
    ['service: titanic.request, allow: [worker]', 'service', 'belong to the broker'],
    ["service: '', allow: [worker]", 'service', '1 to 255 bytes'],
    [`service: ${'é'.repeat(128)}, allow: [worker]`, 'service', '1 to 255 bytes'],
    ['service: 5, allow: [worker]', 'service', 'the name of a service'],
    ['service: up', 'service', 'needs allow: [client] or allow: [worker]'],
    ['service: up, allow: [client, worker]', 'allow', 'needs allow: [client] or allow: [worker]'],
    ['service: up, client: [up]', 'client', 'has no effect with service'],
    ['service: up, allow: [client], mmi: full', 'mmi', 'has no effect with service'],
    ['public: tcp://a:1', 'public', 'only for a listener with service'],
    ['service: up, allow: [worker], public: tcp://a:1', 'public', 'only for clients'],
    ["service: up, allow: [client], public: 'tcp://*:1'", 'public', 'give the host'],
    [
      `service: up, allow: [client], public: tcp://${`${'a'.repeat(60)}.`.repeat(4)}a:65535`,
      'public',
      '255',
    ],
    ['service: up, allow: [client], public: tcp://a:1, transport: libzmq', 'public', 'zmtp'],
  ])('{ %s } is refused', (text, key, message) => {
    const problems = problemsOf({ text: `broker: {listen: [{${AT}, ${text}}]}` });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(/^FILE:1:/);
    expect(problems[0]).toContain(`broker.listen[0].${key}: `);
    expect(problems[0]).toContain(message);
  });

  it('without public is of no use to Freelance clients, which `check` says', () => {
    const { broker } = configOf(`broker: {listen: [{${AT}, service: up, allow: [client]}]}`);
    expect(withoutPublic(broker.listen)).toMatchObject([{ path: 'broker.listen[0]' }]);
    const workers = configOf(`broker: {listen: [{${AT}, service: up, allow: [worker]}]}`);
    expect(withoutPublic(workers.broker.listen)).toEqual([]);
  });

  it('is nothing to check where none is written', () => {
    expect(serviceFault({ allow: ['client'] })).toBeNull();
  });
});
