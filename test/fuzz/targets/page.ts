/**
 * What the page makes of the API's answers: text that peers chose stays text, links stay in the page
 * and lead where they say, numbers and times of any kind are shown.
 */
import { escapeName, unescapeName } from '../../../src/core/escape.js';
import { check, Script, type Target } from '../target.js';

const PAGE = new URL('../../../src/page/', import.meta.url);

/** What Preact makes an element of. */
interface Made {
  readonly type: string | ((props: object) => Child);
  readonly props: Readonly<Record<string, unknown>>;
}

type Child = Made | string | number | boolean | null | undefined | readonly Child[];

interface FakeElement {
  readonly tag: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly (FakeElement | string)[];
}

/** The elements and texts of components. */
function drawn(child: Child): (FakeElement | string)[] {
  if (child === null || child === undefined || typeof child === 'boolean') return [];
  if (typeof child === 'string' || typeof child === 'number') return [String(child)];
  if (Array.isArray(child)) return child.flatMap(drawn);
  const { type, props } = child as Made;
  if (typeof type === 'function') return drawn(type(props));
  const { children, ...attributes } = props;
  const set = Object.entries(attributes).filter(([, value]) => value !== undefined);
  const texts = set.map(([name, value]) => [name, String(value)] as const);
  return [{ tag: type, attributes: new Map(texts), children: drawn(children as Child) }];
}

function textIn(children: readonly (FakeElement | string)[]): string {
  return children
    .map((child) => (typeof child === 'string' ? child : textIn(child.children)))
    .join('');
}

interface PageModules {
  readonly EventRow: (props: { readonly group: object }) => Child;
  readonly ServiceLink: (props: { readonly service: string }) => Child;
  readonly StatePill: (props: { readonly state: string }) => Child;
  readonly decoded: (name: string) => string;
  readonly format: Readonly<Record<(typeof SHOWN)[number], Shown>>;
}

/** What shows a number. */
const SHOWN = ['compact', 'count', 'millis', 'span', 'about', 'bytes'] as const;

type Shown = (value: number | null) => string;

async function modules(): Promise<PageModules> {
  // They are compiled with a browser's types, which tests do not have.
  const load = async (name: string): Promise<object> =>
    (await import(new URL(name, PAGE).href)) as object;
  const [rows, names, format] = await Promise.all(
    ['events-list.js', 'names.js', 'format.js'].map(load),
  );
  return { ...rows, ...names, format } as PageModules;
}

const TAGS = ['li', 'time', 'span', 'a', 'bdi', 'wbr', 'div', 'details', 'summary', 'ol'];
const ATTRIBUTES = ['class', 'dateTime', 'href', 'title', 'aria-label'];
const CLASS = /^[a-z -]+$/;
const UNSEEN = /[\p{C}\p{Zl}\p{Zp}]/u;

function checkElements(children: readonly (FakeElement | string)[]): void {
  for (const child of children) {
    if (typeof child === 'string') continue;
    const { tag, attributes } = child;
    check(TAGS.includes(tag), `an element ${tag}`);
    for (const [name, value] of attributes) {
      check(ATTRIBUTES.includes(name), `an attribute ${name}`);
      if (name === 'class') check(CLASS.test(value), `a class ${value}`);
      if (name === 'href') check(value.startsWith('#/'), `a link to ${value}`);
    }
    checkElements(child.children);
  }
}

function hrefIn([link]: readonly (FakeElement | string)[]): string {
  return typeof link === 'object' ? (link.attributes.get('href') ?? '') : '';
}

function run(input: Buffer, page: PageModules): void {
  const script = new Script(input);
  const name = script.piece(64);
  const text = script.piece(64).toString('utf8');
  const field = script.piece(16).toString('utf8');
  const number = script.bytes(8);
  const service = escapeName(name);
  const link = drawn(page.ServiceLink({ service }));
  checkElements(link);
  // A `%` that does not escape a byte is one: so no two names look the same.
  const shown = textIn(link);
  const meant = unescapeName(shown.replaceAll(/%(?![\da-f]{2})/gi, '%25'));
  check(meant?.equals(name) === true, `${service} is shown as ${shown}`);
  check(!UNSEEN.test(shown), `${service} is shown with what is not seen`);
  // As the page reads its own links.
  const [, , detail = ''] = hrefIn(link).split('/');
  const leads = unescapeName(decodeURIComponent(detail));
  check(leads?.equals(name) === true, `a link leads to ${detail}, not to ${service}`);
  const told = { arrival: 1, time: text, event: text, [field]: text, service, nested: { text } };
  const row = drawn(page.EventRow({ group: { latest: told, earlier: [told, told] } }));
  checkElements(row);
  check(textIn(row).includes(`service ${shown}`), 'an event lacks a field');
  checkElements(drawn(page.StatePill({ state: text })));
  const double = Buffer.concat([number, Buffer.alloc(8)]).readDoubleBE(0);
  for (const each of SHOWN) {
    check(page.format[each](double).length > 0, `${each} shows nothing of ${double}`);
  }
}

export async function page(): Promise<Target> {
  const made = await modules();
  const input = (name: string, text: string, field: string): Buffer =>
    Buffer.concat(
      [name, text, field].map((each) => Buffer.from(`${String.fromCharCode(each.length)}${each}`)),
    );
  return {
    name: 'page',
    words: [
      '<script>',
      '"onload=',
      'javascript:',
      '%2F',
      '%',
      '#/',
      '&lt;',
      '__proto__',
      'constructor',
    ],
    bytesMax: 256,
    seeds: [
      input('echo', '2026-11-20T13:29:05.045Z', 'reason'),
      input('a/b?c#d%', 'request.expired', 'text'),
      input('<img src=x onerror=alert(1)>', 'dead', 'class'),
      input('x', 'constructor', '__proto__'),
    ],
    run: (bytes) => run(bytes, made),
  };
}
