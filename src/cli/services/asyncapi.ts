/** The AsyncAPI document of the services whose workers announced contracts. */
import { escapeName } from '../../core/escape.js';
import { type Facts, factsIn } from '../common/facts.js';
import { embedded } from './asyncapi-schema.js';

/** A service, percent-escaped, and its different contracts. */
export interface Announced {
  readonly service: string;
  readonly contracts: readonly Facts[];
}

/** What a contract says of one kind of message. */
interface Part {
  readonly key: string;
  readonly isInput: boolean;
  readonly title: string;
  readonly contentType: string;
  readonly description: string | undefined;
  /** `undefined`: anything. */
  readonly schema: unknown;
}

const JSON_TYPE = 'application/json';

/**
 * @param status the JSON of mmi.broker
 * @param endpoint where clients reach the broker; `null`: it is not known
 * @param odd is told each service with a schema of which something was left out
 */
export function asyncApiOf(
  status: Facts,
  endpoint: string | null,
  announced: readonly Announced[],
  odd: (service: string) => void,
): Facts {
  const channels: [string, Facts][] = [];
  const operations: [string, Facts][] = [];
  const messages: [string, Facts][] = [];
  const schemas: [string, Facts][] = [];
  for (const { service, contracts } of announced) {
    const name = keyOf(service);
    const parts = contracts.flatMap((contract, index) => partsOf(contract, index));
    let isOdd = false;
    for (const { key, isInput: _input, schema, title, ...rest } of parts) {
      const id = `${name}.${key}`;
      const at = `#/components/schemas/${id}`;
      if (schema !== undefined) {
        const clean = embedded(schema, at);
        isOdd ||= clean.isOdd;
        schemas.push([id, clean.schema]);
      }
      const payload = schema === undefined ? {} : { payload: { $ref: at } };
      messages.push([id, { title: `${title} of ${service}`, ...rest, ...payload }]);
    }
    if (isOdd) odd(service);
    const channel = { $ref: `#/channels/${name}` };
    const ofChannel = (isInput: boolean): readonly Facts[] =>
      parts
        .filter((part) => part.isInput === isInput)
        .map(({ key }) => ({ $ref: `${channel.$ref}/messages/${key}` }));
    const all = parts.map(({ key }) => [key, { $ref: `#/components/messages/${name}.${key}` }]);
    // Braces would be parameters.
    const address = service.replaceAll('{', '%7B').replaceAll('}', '%7D');
    channels.push([name, { address, messages: Object.fromEntries(all) }]);
    const reply = { channel, messages: ofChannel(false) };
    const description = parts.find((part) => part.description !== undefined)?.description;
    const about = { action: 'receive', description, channel, messages: ofChannel(true), reply };
    operations.push([name, about]);
  }
  return {
    asyncapi: '3.0.0',
    info: {
      title: `Services of ${textIn(status['node']) ?? 'a Majordomo broker'}`,
      version: textIn(status['version']) ?? 'unknown',
      description: 'What the services of this broker take and answer, as their workers announced.',
    },
    defaultContentType: JSON_TYPE,
    ...(endpoint === null ? {} : { servers: { broker: serverAt(endpoint) } }),
    channels: Object.fromEntries(channels),
    operations: Object.fromEntries(operations),
    components: { schemas: Object.fromEntries(schemas), messages: Object.fromEntries(messages) },
  };
}

/** A key of the document: `_XX` is a byte, and `__` an underscore. No two names have the same. */
function keyOf(shown: string): string {
  return shown
    .replaceAll('_', '__')
    .replaceAll('%', '_')
    .replaceAll(/[^\w.-]/g, (each) => `_${each.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** The parts of a contract. No key of one contains a dot, so `SERVICE.PART` names one part of one service. */
function partsOf(contract: Facts, index: number): readonly Part[] {
  const prefix = index === 0 ? '' : `${index + 1}-`;
  const version = textIn(contract['version']);
  const which = version === undefined ? '' : ` (version ${version})`;
  const description = textIn(contract['description']);
  const contentType = textIn(contract['contentType']) ?? JSON_TYPE;
  const part = (key: string, title: string, schema: unknown): Part => ({
    key: `${prefix}${key}`,
    isInput: key === 'input',
    title: `${title}${which}`,
    contentType: key.startsWith('error-') ? JSON_TYPE : contentType,
    description,
    schema,
  });
  const { input, output, progress } = contract;
  const errors = Object.entries(factsIn(contract['errors']) ?? {});
  return [
    part('input', 'Request', input),
    part('output', 'Reply', output),
    ...(progress === undefined ? [] : [part('progress', 'Progress', progress)]),
    ...errors.map(([code, schema]) => {
      const key = keyOf(escapeName(Buffer.from(code))).replaceAll('.', '_2E');
      return part(`error-${key}`, `Details of the error ${code}`, schema);
    }),
  ];
}

function serverAt(endpoint: string): Facts {
  const [scheme, place = ''] = endpoint.split('://', 2);
  const where = scheme === 'ipc' ? { host: 'localhost', pathname: place } : { host: place };
  return { ...where, protocol: 'mdp', protocolVersion: '0.2', description: endpoint };
}

function textIn(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
