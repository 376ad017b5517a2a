/**
 * The types of a contract's JSON Schemas in a language. Nobody vouches for the schemas: what they write more than once
 * is declared once, and a budget bounds what a type expands to.
 */
import { pointedAt } from '../../core/schema-rows.js';
import { type Facts, factsIn, isFacts } from '../common/facts.js';

/** A field of an object, whose key may be any text. */
export interface Field {
  readonly key: string;
  readonly type: string;
  readonly isNeeded: boolean;
}

type Plain = 'string' | 'integer' | 'number' | 'boolean' | 'null';

/** How a language writes types. */
export interface TypeWords {
  readonly any: string;
  readonly plain: Readonly<Record<Plain, string>>;
  /** Names that a declaration may not have. */
  readonly reserved: readonly string[];
  /** Whether a type may contain itself. */
  readonly mayRecur: boolean;
  /** Writes the type of one value; `null`: the language has none. */
  readonly literal: (value: unknown) => string | null;
  readonly list: (of: string) => string;
  readonly map: (of: string) => string;
  /** Writes that of one of these, which differ. */
  readonly union: (types: readonly string[]) => string;
  /** Declares an object; `null`: the language cannot have such fields. */
  readonly object: (
    name: string,
    fields: readonly Field[],
    isDeclared: (name: string) => boolean,
  ) => string | null;
  /** Declares another name of a type. */
  readonly alias: (name: string, type: string) => string;
}

/** What the types of one contract expand to, at most, in characters of JSON: what a worker of them would announce. */
const CHARACTERS_MAX = 48 * 1024;
const CHARACTERS_EACH = 20;
const LEVELS_MAX = 30;
const NAME_MAX = 100;

/** The names of a file, each given once. */
export class Names {
  readonly taken = new Map<string, number>();

  constructor(reserved: readonly string[]) {
    for (const name of reserved) this.taken.set(name, 1);
  }

  /** Takes the name, or the first free one with a number. */
  take(wanted: string): string {
    const name = wanted.slice(0, NAME_MAX);
    for (;;) {
      const count = (this.taken.get(name) ?? 0) + 1;
      this.taken.set(name, count);
      if (count === 1) return name;
      const numbered = `${name}${count}`;
      if (this.taken.has(numbered)) continue;
      this.taken.set(numbered, 1);
      return numbered;
    }
  }
}

/** A text as a part of a name: `tax.rate` is `TaxRate`. */
export function inCapitals(text: string): string {
  const words = text.match(/[A-Za-z\d]+/g) ?? [];
  return words
    .map((word) => (word[0] ?? '').toUpperCase() + word.slice(1))
    .join('')
    .slice(0, NAME_MAX);
}

/** What an object must be. */
interface Fields extends Facts {
  readonly properties: Facts;
  readonly required: readonly unknown[];
}

/** What a reference leads to. */
interface Referred {
  readonly type: string;
  readonly characters: number;
}

/** The types of one contract. */
export class ContractTypes {
  /** In the order in which a program needs them. */
  readonly declarations: string[] = [];
  readonly #words: TypeWords;
  readonly #names: Names;
  #left = CHARACTERS_MAX;
  #root: unknown;
  #name = '';
  #level = 0;
  #referred = new Map<string, Referred>();
  /** References that are being followed, with the names that were wanted for what they lead to. */
  #open = new Map<string, string>();
  /** The objects among these, as they were declared, by the name that was wanted. */
  #declaring = new Map<string, string>();

  constructor(words: TypeWords, names: Names) {
    this.#words = words;
    this.#names = names;
  }

  /** The type of one part of the contract, whose declarations have names that begin with this one. */
  ofPart(schema: unknown, name: string): string {
    this.#root = schema;
    this.#name = name;
    this.#referred = new Map();
    this.#open = new Map();
    this.#declaring = new Map();
    return this.#of(schema, name);
  }

  #of(schema: unknown, name: string): string {
    this.#left -= CHARACTERS_EACH;
    if (!isFacts(schema) || this.#left < 0 || this.#level > LEVELS_MAX) return this.#words.any;
    this.#level++;
    const type = this.#inner(schema, name);
    this.#level--;
    return type;
  }

  #inner(schema: Facts, name: string): string {
    const { $ref, anyOf, oneOf = anyOf, allOf, type, properties } = schema;
    if (typeof $ref === 'string') return this.#reference($ref);
    const values = 'const' in schema ? [schema['const']] : schema['enum'];
    if (Array.isArray(values)) {
      return this.#union(values.map((each) => this.#words.literal(each) ?? this.#words.any));
    }
    if (Array.isArray(allOf)) {
      const merged = this.#merged(schema, new Set());
      if (Object.keys(merged.properties).length > 0) return this.#object(merged, name);
      if (allOf.length === 1) return this.#of(allOf[0], name);
    }
    const types = type === undefined ? [] : [type].flat();
    if (types.length > 0 || isFacts(properties)) {
      const all = types.length > 0 ? types : ['object'];
      const object = all.length > 1 ? `${name}Object` : name;
      return this.#union(
        all.map((each) => this.#ofType(each, schema, each === 'object' ? object : name)),
      );
    }
    if (!Array.isArray(oneOf)) return this.#words.any;
    return this.#union(oneOf.map((each, at) => this.#of(each, `${name}${at + 1}`)));
  }

  #ofType(type: unknown, schema: Facts, name: string): string {
    if (type === 'object') return this.#object(schema, name);
    if (type === 'array') {
      const { items, prefixItems } = schema;
      return this.#words.list(
        prefixItems === undefined ? this.#of(items, `${name}Item`) : this.#words.any,
      );
    }
    const { plain, any } = this.#words;
    return typeof type === 'string' && Object.hasOwn(plain, type) ? plain[type as Plain] : any;
  }

  #object({ properties, required, additionalProperties }: Facts, name: string): string {
    const given = Object.entries(factsIn(properties) ?? {});
    if (given.length === 0) return this.#words.map(this.#of(additionalProperties, `${name}Value`));
    const declared = this.#names.take(name);
    if ([...this.#open.values()].includes(name)) this.#declaring.set(name, declared);
    const needed = new Set(listOf(required));
    const fields = given.map(([key, schema]) => {
      this.#left -= 2 * key.length;
      const type = this.#of(schema, name + inCapitals(key));
      return { key, type, isNeeded: needed.has(key) };
    });
    const text = this.#words.object(declared, fields, (each) => this.#names.taken.has(each));
    if (text === null) return this.#words.map(this.#words.any);
    this.declarations.push(text);
    return declared;
  }

  /** A schema with the properties of all that an object must be. */
  #merged(schema: unknown, seen: Set<unknown>): Fields {
    if (!isFacts(schema) || seen.has(schema)) return { properties: {}, required: [] };
    seen.add(schema);
    const { $ref, allOf, properties, required } = schema;
    const others = [
      ...(typeof $ref === 'string' ? [pointedAt(this.#root, $ref)] : []),
      ...listOf(allOf),
    ].map((each) => this.#merged(each, seen));
    const own = { properties: factsIn(properties) ?? {}, required: listOf(required) };
    const all = [...others, own];
    return {
      properties: Object.assign({}, ...all.map((each) => each.properties)) as Facts,
      required: all.flatMap((each) => each.required),
    };
  }

  #reference(reference: string): string {
    const known = this.#referred.get(reference);
    if (known !== undefined) {
      this.#left -= known.characters;
      return this.#left < 0 ? this.#words.any : known.type;
    }
    const open = this.#open.get(reference);
    if (open !== undefined) {
      return (this.#words.mayRecur ? this.#declaring.get(open) : null) ?? this.#words.any;
    }
    const before = this.#left;
    const name = this.#name + inCapitals(reference.split('/').at(-1) ?? '');
    this.#open.set(reference, name);
    let type = this.#of(reference.startsWith('#') ? pointedAt(this.#root, reference) : true, name);
    this.#open.delete(reference);
    this.#declaring.delete(name);
    if (!/^\w+$/.test(type)) {
      const declared = this.#names.take(name);
      this.declarations.push(this.#words.alias(declared, type));
      type = declared;
    }
    this.#referred.set(reference, { type, characters: before - this.#left });
    return type;
  }

  #union(types: readonly string[]): string {
    const different = [...new Set(types)];
    const [first = this.#words.any] = different;
    if (different.includes(this.#words.any)) return this.#words.any;
    return different.length > 1 ? this.#words.union(different) : first;
  }
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}
