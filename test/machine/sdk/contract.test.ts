/** What workers announce of the services of their contract (D107). */
import { z } from 'zod';

import {
  connect,
  type Contract,
  type ContractOptions,
  defineService,
  service,
  type StandardSchema,
} from '../../../src/sdk/client.js';
import { Worker } from '../../../src/sdk/worker.js';
import { FakeNet } from './fake-dial.js';

const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});

const FACTS = '{"extensions":["credit","ready-options","contract"]}';

/** The frames of the READY of a worker of this contract. */
function readyOf<Types>(contract: Contract<Types>, facts = FACTS): string[] {
  const net = new FakeNet();
  const services = { resize: () => 'done' } as never;
  const worker = new Worker({
    endpoints: 'tcp://a:1',
    dial: net.dial,
    contract,
    services,
    name: '',
  });
  closing.push(() => worker.close({ graceMs: 0 }));
  void worker.run();
  net.link.events.connected();
  net.link.written();
  net.link.says('', 'MDPC02', '\x03', 'mmi.broker', '200', facts);
  return (net.link.written()[0] ?? []).map(String);
}

function announcedBy<Types>(contract: Contract<Types>): unknown {
  const frame = readyOf(contract)[5];
  return frame === undefined ? undefined : JSON.parse(frame);
}

/** A validator of a library without JSON Schema. */
const bare: StandardSchema = {
  '~standard': { version: 1, vendor: 'bare', validate: (value) => ({ value }) },
};

describe('a worker of a contract', () => {
  it('announces the JSON Schemas that the validators offer: of what is sent', () => {
    const schemas = {
      description: 'Makes pictures smaller',
      input: z.object({ width: z.number(), name: z.string().transform((name) => name.length) }),
      output: z.string(),
      errors: { too_large: z.object({ limit: z.number() }) },
    };
    expect(announcedBy(service('resize', schemas, { version: '1.2' }))).toEqual({
      version: '1.2',
      description: 'Makes pictures smaller',
      contentType: 'application/json',
      input: {
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        type: 'object',
        properties: { name: { type: 'string' }, width: { type: 'number' } },
        required: ['width', 'name'],
      },
      output: { $schema: 'https://json-schema.org/draft/2020-12/schema', type: 'string' },
      errors: {
        too_large: expect.objectContaining({ required: ['limit'] }),
      },
    });
  });

  it('sends equal bytes for equal contracts, in whichever order they are written', () => {
    const one = service('resize', { input: z.object({ a: z.string(), b: z.string() }) });
    const other = service('resize', {
      input: z.object({ b: z.string(), a: z.string() }).meta({ required: ['a', 'b'] }),
    });
    expect(readyOf(one)[5]).toBe(readyOf(other)[5]);
  });

  it('leaves out a part whose library has no word for it, and is silent if nothing is left', () => {
    const date = z.date();
    expect(announcedBy(service('resize', { input: date, output: z.string() }))).not.toHaveProperty(
      'input',
    );
    expect(announcedBy(service('resize', { input: bare, output: date }))).toBeUndefined();
    expect(announcedBy(defineService<{ resize: { input: string } }>())).toBeUndefined();
  });

  it('with jsonSchema, announces what that makes; with false, nothing', () => {
    const jsonSchema = (schema: StandardSchema): object => ({ title: schema['~standard'].vendor });
    expect(announcedBy(service('resize', { input: bare }, { jsonSchema }))).toMatchObject({
      input: { title: 'bare' },
    });
    const none = service('resize', { input: z.string() }, { jsonSchema: false });
    expect(announcedBy(none)).toBeUndefined();
  });

  it('to a broker that knows none, it announces none', () => {
    const contract = service('resize', { input: z.string() });
    const facts = '{"extensions":["credit","ready-options","headers"]}';
    expect(readyOf(contract, facts)).toEqual(['MDPW02', '\x01', 'resize', '1', '{"headers":true}']);
  });

  it.each([
    ['a converter that throws', { jsonSchema: () => JSON.parse('{') as object }, 'jsonSchema'],
    ['a converter of something else', { jsonSchema: () => 'text' as never }, "services['resize']"],
    [
      'a schema that is too large',
      { jsonSchema: () => ({ a: 'x'.repeat(70_000) }) },
      "services['resize']",
    ],
    ['a converter that is none', { jsonSchema: true as never }, 'jsonSchema'],
    ['an unknown option', { versoin: '1' } as never, 'versoin'],
    ['a long version', { version: 'v'.repeat(65) }, 'version'],
  ] satisfies [string, ContractOptions, string][])(
    '%s is ERR_MDP_OPTION',
    (_what, options, option) => {
      expect(() => service('resize', { input: bare }, options)).toThrow(
        expect.objectContaining({ code: 'ERR_MDP_OPTION', details: { option } }),
      );
    },
  );
});

describe('client.contractOf', () => {
  it.each([
    ['the contracts', ['200', '{"contracts":[]}'], { contracts: [] }],
    ['null where there are none', ['404'], null],
    ['null from a broker without the question', ['501'], null],
  ])('is %s', async (_what, answer, value) => {
    const net = new FakeNet();
    const contract = defineService<{ other: { input: string } }>();
    const client = connect('tcp://a:1', { dial: net.dial, contract });
    closing.push(() => client.close());
    net.link.events.connected();
    net.link.written();
    const asked = client.contractOf('resize');
    const [id = '', ...frames] = (net.link.written()[0] ?? []).map(String);
    expect(frames.slice(3)).toEqual(['mmi.contract', 'resize']);
    net.link.says(id, '', 'MDPC02', '\x03', 'mmi.contract', ...answer);
    expect(await asked).toEqual(value);
  });
});
