/** What a worker announces of a service: the JSON Schemas of its contract. */
import { messageOf } from '../../core/errors.js';
import { type AnnouncedContract, contractFault, type JsonSchema } from '../../wire/contract.js';
import { wrong } from '../errors.js';
import type { ContractOptions, ServiceSchemas, StandardSchema } from './schema.js';

/** What is said of a service besides its schemas; with its codec. */
export type Described = Pick<ContractOptions, 'version' | 'jsonSchema'> & {
  readonly contentType: string;
};

const TARGET = { target: 'draft-2020-12' };

/** @returns `null`: nothing is known of it @throws ERR_MDP_OPTION */
export function announcement(
  service: string,
  { description, errors, ...parts }: ServiceSchemas,
  { version, contentType, jsonSchema }: Described,
): Buffer | null {
  if (jsonSchema === false) return null;
  const place = `services['${service}']`;
  const schemas = (given: object, at: string): Record<string, JsonSchema> => {
    const described = Object.entries(given as Readonly<Record<string, StandardSchema | undefined>>)
      .map(([name, schema]) => [name, schemaOf(schema, `${at}.${name}`, jsonSchema)] as const)
      .filter((entry): entry is [string, JsonSchema] => entry[1] !== undefined);
    return Object.fromEntries(described);
  };
  const announced: AnnouncedContract = {
    ...(version === undefined ? {} : { version }),
    ...(description === undefined ? {} : { description }),
    ...schemas(parts, place),
    ...(errors === undefined ? {} : { errors: schemas(errors, `${place}.errors`) }),
  };
  if (Object.keys(announced).length === 0) return null;
  const frame = Buffer.from(JSON.stringify({ ...announced, contentType }, sorted));
  const fault = contractFault(frame);
  if (fault === null) return frame;
  throw wrong(place, `cannot be announced: ${fault} (jsonSchema: false announces nothing)`);
}

function schemaOf(
  schema: StandardSchema | undefined,
  place: string,
  convert: Described['jsonSchema'],
): JsonSchema | undefined {
  if (schema === undefined) return undefined;
  try {
    if (typeof convert === 'function') return convert(schema) as JsonSchema;
    // What is sent is what a validator takes.
    return schema['~standard'].jsonSchema?.input(TARGET);
  } catch (error) {
    // A library says in this way that JSON Schema has no word for it.
    if (typeof convert !== 'function') return undefined;
    throw wrong('jsonSchema', `threw an error for ${place}: ${messageOf(error)}`);
  }
}

/** Equal contracts have equal bytes. */
function sorted(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value as Readonly<Record<string, unknown>>);
  return Object.fromEntries(entries.sort(([one], [other]) => (one < other ? -1 : 1)));
}
