/**
 * What the page makes of the API's answers: text that peers chose stays text, links stay in the page
 * and lead where they say, numbers and times of any kind are shown.
 */
import { escapeName, unescapeName } from '../../../src/core/escape.js';
import { check, Script, type Target } from '../target.js';

const PAGE = new URL('../../../src/page/', import.meta.url);

/** As much of an element as the page's makers of rows use. */
class FakeElement {
  readonly tag: string;
  readonly attributes = new Map<string, string>();
  readonly children: (FakeElement | string)[] = [];

  constructor(tag: string) {
    this.tag = tag;
  }

  append(...children: readonly (FakeElement | string)[]): void {
    this.children.push(...children);
  }

  hasAttribute(name: string): boolean {
    return this.attributes.has(name);
  }

  getAttribute(name: string): string | null {
    return this.attributes.get(name) ?? null;
  }

  setAttribute(name: string, value: string): void {
    this.attributes.set(name, value);
  }

  /** What is opened by hand stays closed here. */
  addEventListener(): void {
    return;
  }

  replaceChildren(...children: readonly (FakeElement | string)[]): void {
    this.children.splice(0, this.children.length, ...children);
  }

  get textContent(): string {
    return this.text;
  }

  set textContent(text: string) {
    this.replaceChildren(text);
  }

  removeAttribute(name: string): void {
    this.attributes.delete(name);
  }

  /** Whoever writes HTML is wrong. */
  set innerHTML(_html: string) {
    throw new Error('the page makes HTML of text');
  }

  set outerHTML(_html: string) {
    throw new Error('the page makes HTML of text');
  }

  insertAdjacentHTML(): void {
    throw new Error('the page makes HTML of text');
  }

  get text(): string {
    return this.children.map((child) => (typeof child === 'string' ? child : child.text)).join('');
  }
}

interface Row {
  readonly element: FakeElement;
  readonly update: (group: object) => void;
}

interface PageModules {
  readonly eventRow: (group: object) => Row;
  readonly serviceLink: (service: string) => FakeElement;
  readonly statePill: (state: string) => FakeElement;
  readonly format: Readonly<Record<(typeof SHOWN)[number], Shown>>;
}

/** What shows a number. */
const SHOWN = ['compact', 'count', 'millis', 'span', 'about', 'bytes'] as const;

type Shown = (value: number | null) => string;

async function modules(): Promise<PageModules> {
  const document = { createElement: (tag: string) => new FakeElement(tag) };
  Object.assign(globalThis, { document });
  // They are compiled with a browser's types, which tests do not have.
  const load = async (name: string): Promise<object> =>
    (await import(new URL(name, PAGE).href)) as object;
  const [rows, line, format] = await Promise.all(
    ['event-row.js', 'status-line.js', 'format.js'].map(load),
  );
  return { ...rows, ...line, format } as PageModules;
}

const TAGS = ['li', 'time', 'span', 'a', 'div', 'details', 'summary', 'ol'];
const ATTRIBUTES = ['class', 'datetime', 'href', 'hidden'];
const CLASS = /^[a-z -]+$/;

function checkElement(element: FakeElement): void {
  check(TAGS.includes(element.tag), `an element ${element.tag}`);
  for (const [name, value] of element.attributes) {
    check(ATTRIBUTES.includes(name), `an attribute ${name}`);
    if (name === 'class') check(CLASS.test(value), `a class ${value}`);
    if (name === 'href') check(value.startsWith('#/'), `a link to ${value}`);
  }
  for (const child of element.children) if (typeof child !== 'string') checkElement(child);
}

function run(input: Buffer, page: PageModules): void {
  const script = new Script(input);
  const name = script.piece(64);
  const text = script.piece(64).toString('utf8');
  const field = script.piece(16).toString('utf8');
  const number = script.bytes(8);
  const service = escapeName(name);
  const link = page.serviceLink(service);
  checkElement(link);
  check(link.text === service, 'a service has another name on the page');
  // As the page reads its own links.
  const [, , detail = ''] = (link.getAttribute('href') ?? '').split('/');
  const leads = unescapeName(decodeURIComponent(detail));
  check(leads?.equals(name) === true, `a link leads to ${detail}, not to ${service}`);
  const told = { arrival: 1, time: text, event: text, [field]: text, service, nested: { text } };
  const group = { latest: told, earlier: [told, told] };
  const { element, update } = page.eventRow(group);
  update(group);
  checkElement(element);
  check(element.text.includes(service), 'an event lacks a field');
  checkElement(page.statePill(text));
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
    run: (bytes) => {
      run(bytes, made);
    },
  };
}
