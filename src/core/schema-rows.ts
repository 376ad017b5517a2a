/**
 * What JSON Schemas say, in rows of text that people can read and compare. The schemas are of programs that nobody
 * vouches for: any value is accepted, the work is bounded, and texts are as they were given, so escape them.
 */

/** A part, or a field, of contracts that are compared. */
export interface ComparedRow {
  /** The name of the part or field, such as `input.items[].price`. */
  readonly name: string;
  /** What each contract says of it; `null`: it has none. */
  readonly texts: readonly (string | null)[];
  readonly differs: boolean;
}

type Json = Readonly<Record<string, unknown>>;
/** Texts by the names of their rows. */
type Rows = Map<string, string>;

/** Maximum number of rows of one contract; the rest is not shown. */
const ROWS_MAX = 300;
/**
 * How much may be read and written for all contracts of a service together, in characters. Each has an equal share,
 * so none leaves less to the others. A reference can lead to the same part of a contract thousands of times.
 */
const WORK_MAX = 2 * 1024 * 1024;
/** What a visit of a schema, and a value in it, count beside their texts. */
const VISIT_WORK = 100;
const VALUE_WORK = 8;
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
/** Keywords that have rows of their own, or say nothing to people. */
const STRUCTURE = new Set(['type', 'properties', 'items', 'required', 'description']);
const SILENT = new Set(['$schema', '$id', '$defs', 'definitions', '$comment']);
const CHOICES = { anyOf: ' or ', oneOf: ' or ', allOf: ' and ' } as const;

/** @param contracts as `mmi.contract` tells them */
export function comparedContracts(contracts: readonly unknown[]): readonly ComparedRow[] {
  const all = contracts.map((contract) => rowsOf(contract, WORK_MAX / contracts.length));
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

function rowsOf(contract: unknown, workMax: number): Rows {
  const rows: Rows = new Map();
  if (!isJson(contract)) return rows;
  for (const name of ['version', 'description', 'contentType']) {
    const text = contract[name];
    if (typeof text === 'string' && text !== 'application/json') rows.set(name, text);
  }
  const work = new Work(workMax);
  const walk = (name: string, schema: unknown): void => {
    new Walk(schema, rows, work).schema(name, schema, false, 0);
  };
  for (const part of ['input', 'output', 'progress']) {
    if (part in contract) walk(part, contract[part]);
  }
  const { errors } = contract;
  for (const [code, schema] of Object.entries(isJson(errors) ? errors : {})) {
    walk(`errors.${code}`, schema);
  }
  if (work.isCut) rows.set(MORE, 'the rest is not shown');
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

/** What may still be done for one contract. A text counts when it is there, so the last one may exceed it. */
class Work {
  /** Something was left out. */
  isCut = false;
  #left: number;

  constructor(most: number) {
    this.#left = most;
  }

  goesOn(): boolean {
    if (this.#left <= 0) this.isCut = true;
    return this.#left > 0;
  }

  count(characters: number): void {
    this.#left -= characters;
  }

  /** A string as it is, anything else as the beginning of its JSON. */
  text(value: unknown): string {
    if (typeof value !== 'string') return cut(this.json(value));
    this.count(value.length + VALUE_WORK);
    return value;
  }

  json(value: unknown): string {
    const text = JSON.stringify(value);
    this.count(text.length + VALUE_WORK);
    return text;
  }

  /** The texts of the values, as far as it goes. */
  joined<Value>(
    values: readonly Value[],
    between: string,
    textOf: (value: Value) => string,
  ): string {
    const texts: string[] = [];
    for (const value of values) {
      if (!this.goesOn()) break;
      texts.push(textOf(value));
    }
    return texts.join(between);
  }
}

/** Through one schema. */
class Walk {
  readonly #root: unknown;
  readonly #rows: Rows;
  readonly #work: Work;

  constructor(root: unknown, rows: Rows, work: Work) {
    this.#root = root;
    this.#rows = rows;
    this.#work = work;
  }

  schema(name: string, given: unknown, isRequired: boolean, level: number): void {
    if (this.#rows.size >= ROWS_MAX || name.length > NAME_MAX) this.#work.isCut = true;
    else if (this.#work.goesOn()) this.#visit(name, this.#resolved(given), isRequired, level);
  }

  #visit(name: string, schema: unknown, isRequired: boolean, level: number): void {
    this.#work.count(VISIT_WORK);
    if (!this.#rows.has(name)) this.#rows.set(name, this.#text(schema, isRequired));
    if (!isJson(schema) || level >= LEVELS_MAX) return;
    const { properties, items, required } = schema;
    const needed = new Set<unknown>(Array.isArray(required) ? required : []);
    const fields = Object.entries(isJson(properties) ? properties : {});
    this.#work.count((needed.size + fields.length) * VALUE_WORK);
    for (const [key, each] of fields) {
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
    if (choices.length > CHOICES_MAX) this.#work.isCut = true;
    const all = choices.slice(0, CHOICES_MAX).map((each: unknown) => this.#resolved(each));
    return all.some((each) => isJson(each) && ('properties' in each || 'items' in each)) ? all : [];
  }

  /** What a reference within the schema leads to; others are not followed. */
  #resolved(schema: unknown): unknown {
    let at = schema;
    for (let hops = 0; hops < LEVELS_MAX; hops++) {
      const reference = isJson(at) ? at['$ref'] : undefined;
      if (typeof reference !== 'string' || !/^#(\/|$)/.test(reference)) break;
      if (!this.#work.goesOn()) break;
      this.#work.count(reference.length);
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
    const isSaid = typeof description === 'string' && description !== '';
    const said = isSaid ? `: ${this.#work.text(description)}` : '';
    return `${this.#facts(schema).join(', ') || 'anything'}${needs}${said}`;
  }

  /** The type that a schema names, and everything else that has no row of its own. */
  #facts(schema: Json): readonly string[] {
    const work = this.#work;
    const { type } = schema;
    const types = type === undefined ? [] : [type].flat();
    const facts = types.length === 0 ? [] : [work.joined(types, ' or ', (each) => work.text(each))];
    for (const [key, value] of Object.entries(schema)) {
      if (STRUCTURE.has(key) || SILENT.has(key)) continue;
      if (!work.goesOn()) break;
      facts.push(this.#fact(key, value));
    }
    return facts;
  }

  #fact(key: string, value: unknown): string {
    const work = this.#work;
    if (key === 'const') return work.json(value);
    if (key === 'enum' && Array.isArray(value)) {
      return work.joined(value, ' | ', (each) => work.json(each));
    }
    if (Object.hasOwn(CHOICES, key) && Array.isArray(value)) {
      const between = CHOICES[key as keyof typeof CHOICES];
      return work.joined(value.slice(0, CHOICES_MAX), between, (each) => this.#choice(each));
    }
    return `${work.text(key)} ${typeof value === 'string' ? work.text(value) : work.json(value)}`;
  }

  /** The text of one choice, whose own choices are not told. */
  #choice(given: unknown): string {
    const schema = this.#resolved(given);
    if (!isJson(schema)) return this.#work.json(schema);
    const { title } = schema;
    if (typeof title === 'string') return cut(this.#work.text(title));
    const plain = Object.entries(schema).filter(([key]) => !Object.hasOwn(CHOICES, key));
    this.#work.count((plain.length + 1) * VALUE_WORK);
    return cut(this.#facts(Object.fromEntries(plain)).join(' ') || 'anything');
  }
}
