/** `majordomo services export --typescript` and `--python`: the services of a broker, with their types, as a program's module. */
import { oneLine, terminalSafeJson, unescapeName } from '../../core/escape.js';
import { type Facts, factsIn } from '../common/facts.js';
import type { Announced } from './asyncapi.js';
import { ContractTypes, type Field, inCapitals, Names, type TypeWords } from './contract-types.js';

interface Part {
  readonly key: string;
  readonly type: string;
}

/** A service, and the types of what its contract has. */
interface Typed {
  readonly name: string;
  readonly contract: Facts;
  readonly parts: readonly Part[];
  readonly errors: readonly Part[] | null;
}

export interface Language extends TypeWords {
  /** Writes what refers to the declarations. */
  readonly file: (
    declarations: readonly string[],
    services: readonly Typed[],
    names: Names,
  ) => string;
}

const PARTS = ['input', 'output', 'progress'] as const;
const HEADER = 'Written by `majordomo services export`: what the workers of a broker announced.';

/** @param odd is told each service that is left out, and why */
export function moduleOf(
  language: Language,
  announced: readonly Announced[],
  odd: (service: string, why: string) => void,
): string {
  const names = new Names(language.reserved);
  const declarations: string[] = [];
  const services: Typed[] = [];
  for (const { service, contracts } of announced) {
    const [contract = {}] = contracts;
    const bytes = unescapeName(service) ?? Buffer.alloc(0);
    const name = bytes.toString();
    if (!Buffer.from(name).equals(bytes)) {
      odd(service, 'its name is not UTF-8');
      continue;
    }
    if ((contract['contentType'] ?? 'application/json') !== 'application/json') {
      odd(service, 'its bodies are not JSON');
      continue;
    }
    const types = new ContractTypes(language, names);
    const prefix = inCapitals(`service-${name}`).replace(/^Service(?=[A-Za-z])/, '');
    const parts = PARTS.filter((key) => contract[key] !== undefined).map((key) => ({
      key,
      type: types.ofPart(contract[key], prefix + inCapitals(key)),
    }));
    const given = factsIn(contract['errors']);
    const errors = Object.entries(given ?? {}).map(([code, schema]) => ({
      key: code,
      type: types.ofPart(schema, `${prefix}Error${inCapitals(code)}`),
    }));
    declarations.push(...types.declarations);
    services.push({ name, contract, parts, errors: given === null ? null : errors });
  }
  return language.file(declarations, services, names);
}

const text = (value: unknown): string => terminalSafeJson(value);

function comment({ description }: Facts): string | null {
  return typeof description === 'string' && description !== '' ? oneLine(description) : null;
}

const key = (given: string): string => (/^[A-Za-z_$][\w$]*$/.test(given) ? given : text(given));

export const TYPESCRIPT: Language = {
  any: 'unknown',
  plain: {
    string: 'string',
    integer: 'number',
    number: 'number',
    boolean: 'boolean',
    null: 'null',
  },
  reserved: ['services'],
  mayRecur: true,
  literal: (value) => (typeof value === 'object' && value !== null ? null : text(value)),
  list: (of) => `readonly (${of})[]`,
  map: (of) => `{ readonly [key: string]: ${of} }`,
  union: (types) => types.join(' | '),
  object: (name, fields) => {
    const lines = fields.map(
      (field) => `  readonly ${key(field.key)}${field.isNeeded ? '' : '?'}: ${field.type};\n`,
    );
    return `export interface ${name} {\n${lines.join('')}}\n`;
  },
  alias: (name, type) => `export type ${name} = ${type};\n`,
  file: (declarations, services) => {
    const inside = (parts: readonly Part[]): string =>
      `{ ${parts.map((part) => `readonly ${key(part.key)}: ${part.type}`).join('; ')} }`;
    const lines = services.map(({ name, contract, parts, errors }) => {
      const about = comment(contract)?.replaceAll('*/', '* /');
      const all =
        errors === null
          ? parts
          : [...parts, { key: 'errors', type: errors.length === 0 ? '{}' : inside(errors) }];
      return `${about === undefined ? '' : `  /** ${about} */\n`}  readonly ${text(name)}: ${inside(all)};\n`;
    });
    return [
      `// ${HEADER}\nimport { defineService } from 'majordomo-sdk';\n`,
      ...declarations,
      `export const services = defineService<{\n${lines.join('')}}>();\n`,
    ].join('\n');
  },
};

/** A text as Python writes it, in ASCII. */
function pythonText(value: string): string {
  const written = value.replaceAll(/["\\]|[^\x20-\x7e]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    if (code === 0x22 || code === 0x5c) return `\\${character}`;
    return code > 0xffff
      ? `\\U${code.toString(16).padStart(8, '0')}`
      : `\\u${code.toString(16).padStart(4, '0')}`;
  });
  return `"${written}"`;
}

function pythonLiteral(value: unknown): string | null {
  if (value === null) return 'None';
  if (typeof value === 'string') return `Literal[${pythonText(value)}]`;
  if (typeof value === 'boolean') return `Literal[${value ? 'True' : 'False'}]`;
  if (typeof value !== 'number') return null;
  return Number.isSafeInteger(value) ? `Literal[${value}]` : 'float';
}

const KEYWORDS = new Set(
  (
    'False None True and as assert async await break class continue def del elif else except finally for from global if ' +
    'import in is lambda nonlocal not or pass raise return try while with yield'
  ).split(' '),
);
/** What the module uses: neither a class nor a field may hide it. */
const USED =
  'Any Dict List Literal Optional TypedService Union cast dataclass bool float int str'.split(' ');

function pythonField({ type, key: name, isNeeded }: Field): string {
  if (isNeeded) return `    ${name}: ${type}\n`;
  const optional = type === 'Any' || type.startsWith('Optional[') ? type : `Optional[${type}]`;
  return `    ${name}: ${optional} = None\n`;
}

export const PYTHON: Language = {
  any: 'Any',
  plain: { string: 'str', integer: 'int', number: 'float', boolean: 'bool', null: 'None' },
  reserved: USED,
  // The SDK announces types as schemas without references.
  mayRecur: false,
  literal: pythonLiteral,
  list: (of) => `List[${of}]`,
  map: (of) => `Dict[str, ${of}]`,
  union: (types) => {
    const rest = types.filter((type) => type !== 'None');
    const [first = 'None'] = rest;
    const all = rest.length > 1 ? `Union[${rest.join(', ')}]` : first;
    return rest.length < types.length ? `Optional[${all}]` : all;
  },
  object: (name, fields, isDeclared) => {
    const isField = ({ key: field }: Field): boolean =>
      /^(?!__)[A-Za-z_]\w*$/.test(field) && !KEYWORDS.has(field) && !isDeclared(field);
    if (!fields.every(isField)) return null;
    const ordered = [true, false].flatMap((isNeeded) =>
      fields.filter((field) => field.isNeeded === isNeeded),
    );
    return `\n@dataclass\nclass ${name}:\n${ordered.map(pythonField).join('')}`;
  },
  alias: (name, type) => `${name} = ${type}\n`,
  file: (declarations, services, names) => {
    const classes = new Set(
      declarations.flatMap((each) => /^\n@dataclass\nclass (\w+)/.exec(each)?.[1] ?? []),
    );
    // A type checker takes only a class for one.
    const given = (type: string): string => (classes.has(type) ? type : `cast(Any, ${type})`);
    const typeOf = (parts: readonly Part[], part: string): string =>
      parts.find((each) => each.key === part)?.type ?? 'Any';
    const lines = services.map(({ name, contract, parts, errors }) => {
      const constant = names.take(
        `SERVICE_${name.toUpperCase().replaceAll(/[^A-Z\d]+/g, '_')}`.replace(
          /^SERVICE_(?=[A-Z])/,
          '',
        ),
      );
      const [input, output] = [typeOf(parts, 'input'), typeOf(parts, 'output')];
      const progress = parts.find((each) => each.key === 'progress');
      const texts = (['version', 'description'] as const).flatMap((part) => {
        const said = contract[part];
        return typeof said === 'string' ? [`    ${part}=${pythonText(said)},\n`] : [];
      });
      const details = errors?.map((each) => `        ${pythonText(each.key)}: ${each.type},\n`);
      return [
        `\n${constant}: TypedService[${input}, ${output}] = TypedService(\n`,
        `    ${pythonText(name)},\n    ${given(input)},\n    ${given(output)},\n`,
        details === undefined ? '' : `    errors={\n${details.join('')}    },\n`,
        progress === undefined ? '' : `    progress=${progress.type},\n`,
        ...texts,
        ')\n',
      ].join('');
    });
    const head = [
      `# ${HEADER}`,
      'from dataclasses import dataclass',
      'from typing import Any, Dict, List, Literal, Optional, Union, cast',
      '',
      'from majordomo_client import TypedService',
      '',
    ];
    return [head.join('\n'), ...declarations, ...lines].join('\n');
  },
};
