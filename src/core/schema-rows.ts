/**
 * What JSON Schemas say, in rows of text that people can read and compare. The schemas are of programs that nobody
 * vouches for: any value is accepted, the work is bounded, and texts are as they were given, so escape them.
 */

/** One part, or one field, of contracts that are compared. */
export interface ComparedRow {
  /** `input.items[].price`. */
  readonly name: string;
  /** What each contract says of it; `null`: it has none. */
  readonly texts: readonly (string | null)[];
  readonly differs: boolean;
}

type Json = Readonly<Record<string, unknown>>;
/** By name. */
type Rows = Map<string, string>;

/** Maximum number of rows of one contract; the rest is not shown. */
const ROWS_MAX = 300;
/** Maximum number of visits of schemas in one contract: several may have the same name. */
const VISITS_MAX = 2000;
/** The row that stands for what is not shown. */
const MORE = '(more)';
/** Fields within fields, and references that are followed. */
const LEVELS_MAX = 10;
/** Maximum length of the name of a row: a field within itself could have a name without an end. */
const NAME_MAX = 500;
/** Choices of one field that are told. */
const CHOICES_MAX = 20;
/** Maximum length of a text. */
const TEXT_MAX = 200;
/** Has rows of its own, or says nothing to people. */
const STRUCTURE = new Set(['type', 'properties', 'items', 'required', 'description']);
const SILENT = new Set(['$schema', '$id', '$defs', 'definitions', '$comment']);
const CHOICES = { anyOf: ' or ', oneOf: ' or ', allOf: ' and ' } as const;

/** @param contracts as `mmi.contract` tells them */
export function comparedContracts(contracts: readonly unknown[]): readonly ComparedRow[] {
  const all = contracts.map(rowsOf);
  const names: string[] = [];
  for (const rows of all) {
    let at = 0;
    for (const name of rows.keys()) {
      const known = names.indexOf(name);
      if (known < 0) names.splice(at, 0, name);
      at = (known < 0 ? at : known) + 1;
    }
  }
  const compared = names.map((name) => {
    const texts = all.map((rows) => rows.get(name) ?? null);
    const differs = texts.some((text) => text !== texts[0]);
    return { name, texts: texts.map((text) => (text === null ? null : cut(text))), differs };
  });
  if (contracts.length < 2 || compared.some(({ differs }) => differs)) return compared;
  const texts = contracts.map(() => 'differs in what is not shown');
  return [...compared.filter(({ name }) => name !== MORE), { name: MORE, texts, differs: true }];
}

function cut(text: string): string {
  return text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text;
}

function rowsOf(contract: unknown): Rows {
  const rows: Rows = new Map();
  if (!isJson(contract)) return rows;
  for (const name of ['version', 'description', 'contentType']) {
    const text = contract[name];
    if (typeof text === 'string' && text !== 'application/json') rows.set(name, text);
  }
  const bounds: Bounds = { visits: 0, isReached: false };
  const walk = (name: string, schema: unknown): void => {
    new Walk(schema, rows, bounds).schema(name, schema, false, 0);
  };
  for (const part of ['input', 'output', 'progress']) {
    if (part in contract) walk(part, contract[part]);
  }
  const { errors } = contract;
  for (const [code, schema] of Object.entries(isJson(errors) ? errors : {})) {
    walk(`errors.${code}`, schema);
  }
  if (bounds.isReached) rows.set(MORE, 'the rest is not shown');
  return rows;
}

/** @param reference `#/…` @returns what stands there in the document; `undefined`: nothing */
export function pointedAt(document: unknown, reference: string): unknown {
  let found = document;
  for (const step of reference.split('/').slice(1)) {
    const key = step.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, key)) return undefined;
    found = (found as Json)[key];
  }
  return found;
}

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A string as it is, anything else as JSON. */
function shown(value: unknown): string {
  return typeof value === 'string' ? value : cut(JSON.stringify(value));
}

/** Of one contract. */
interface Bounds {
  visits: number;
  isReached: boolean;
}

/** Through one schema. */
class Walk {
  readonly #root: unknown;
  readonly #rows: Rows;
  readonly #bounds: Bounds;

  constructor(root: unknown, rows: Rows, bounds: Bounds) {
    this.#root = root;
    this.#rows = rows;
    this.#bounds = bounds;
  }

  schema(name: string, given: unknown, isRequired: boolean, level: number): void {
    const isFull = this.#rows.size >= ROWS_MAX || this.#bounds.visits >= VISITS_MAX;
    if (isFull || name.length > NAME_MAX) {
      this.#bounds.isReached = true;
      return;
    }
    this.#bounds.visits++;
    const schema = this.#resolved(given);
    if (!this.#rows.has(name)) this.#rows.set(name, this.#text(schema, isRequired));
    if (!isJson(schema) || level >= LEVELS_MAX) return;
    const { properties, items, required } = schema;
    const needed = new Set<unknown>(Array.isArray(required) ? required : []);
    for (const [key, each] of Object.entries(isJson(properties) ? properties : {})) {
      this.schema(`${name}.${key}`, each, needed.has(key), level + 1);
    }
    if (items !== undefined) this.schema(`${name}[]`, items, false, level + 1);
    for (const choice of Object.keys(CHOICES)) {
      for (const [index, each] of this.#hasFields(schema[choice]).entries()) {
        this.schema(`${name}(${index + 1})`, each, false, level + 1);
      }
    }
  }

  /** The choices, if any of them has fields. */
  #hasFields(choices: unknown): readonly unknown[] {
    if (!Array.isArray(choices)) return [];
    if (choices.length > CHOICES_MAX) this.#bounds.isReached = true;
    const all = choices.slice(0, CHOICES_MAX).map((each: unknown) => this.#resolved(each));
    return all.some((each) => isJson(each) && ('properties' in each || 'items' in each)) ? all : [];
  }

  /** What a reference within the schema leads to; others are not followed. */
  #resolved(schema: unknown): unknown {
    let at = schema;
    for (let hops = 0; hops < LEVELS_MAX; hops++) {
      const reference = isJson(at) ? at['$ref'] : undefined;
      if (typeof reference !== 'string' || !/^#(\/|$)/.test(reference)) break;
      const found = pointedAt(this.#root, reference);
      if (found === undefined) break;
      at = found;
    }
    return at;
  }

  #text(schema: unknown, isRequired: boolean): string {
    const needs = isRequired ? ', required' : '';
    if (schema === true) return `anything${needs}`;
    if (schema === false) return 'nothing';
    if (!isJson(schema)) return 'not a schema';
    const { description } = schema;
    const said = typeof description === 'string' && description !== '' ? `: ${description}` : '';
    return `${this.#facts(schema).join(', ') || 'anything'}${needs}${said}`;
  }

  /** Its type, and everything else that has no row of its own. */
  #facts(schema: Json): readonly string[] {
    const { type } = schema;
    const facts = type === undefined ? [] : [[type].flat().map(shown).join(' or ')];
    for (const [key, value] of Object.entries(schema)) {
      if (STRUCTURE.has(key) || SILENT.has(key)) continue;
      facts.push(this.#fact(key, value));
    }
    return facts;
  }

  #fact(key: string, value: unknown): string {
    if (key === 'const') return JSON.stringify(value);
    if (key === 'enum' && Array.isArray(value)) {
      return value.map((each) => JSON.stringify(each)).join(' | ');
    }
    if (Object.hasOwn(CHOICES, key) && Array.isArray(value)) {
      const texts = value.slice(0, CHOICES_MAX).map((each: unknown) => this.#choice(each));
      return texts.join(CHOICES[key as keyof typeof CHOICES]);
    }
    return `${key} ${typeof value === 'string' ? value : JSON.stringify(value)}`;
  }

  /** One of several, whose own choices are not told. */
  #choice(given: unknown): string {
    const schema = this.#resolved(given);
    if (!isJson(schema)) return JSON.stringify(schema);
    const { title } = schema;
    if (typeof title === 'string') return cut(title);
    const plain = Object.entries(schema).filter(([key]) => !Object.hasOwn(CHOICES, key));
    return cut(this.#facts(Object.fromEntries(plain)).join(' ') || 'anything');
  }
}
