/**
 * Makes elements from text that is never parsed as HTML: peers choose the names of services,
 * reasons and keys.
 */

export type Child = Node | string | number | null;
type Value = string | number | boolean | null;
export type Attributes = Readonly<Record<string, Value>>;

const SVG = 'http://www.w3.org/2000/svg';

/** @param attributes `null` and `false` omit an attribute, `true` sets it to the empty string */
export function el<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  setAttributes(element, attributes);
  append(element, children);
  return element;
}

export function svg<Tag extends keyof SVGElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Node[]
): SVGElementTagNameMap[Tag] {
  const element = document.createElementNS(SVG, tag);
  setAttributes(element, attributes);
  append(element, children);
  return element;
}

/** A link to a URL that the other node of the pair reported; `null` if it is not an HTTP URL. */
export function outerLink(href: string | null, label: string, style: string): Child {
  if (href === null || !/^https?:\/\//.test(href)) return null;
  return el('a', { href, class: style, rel: 'noreferrer' }, label);
}

export function button(label: string, style: string, act: () => void): HTMLButtonElement {
  const made = el('button', { type: 'button', class: style }, label);
  made.addEventListener('click', act);
  return made;
}

function setAttributes(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) attribute(element, name, value);
}

/** Writes only a changed value, so that an unchanged one costs no layout. */
export function attribute(element: Element, name: string, value: Value): void {
  if (value === null || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
    return;
  }
  const text = value === true ? '' : String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

function append(element: Element, children: readonly Child[]): void {
  for (const child of children) {
    if (child === null) continue;
    element.append(typeof child === 'number' ? String(child) : child);
  }
}

export function text(element: Element, value: string | number): void {
  const wanted = String(value);
  if (element.textContent !== wanted) element.textContent = wanted;
}

export function fill(element: Element, ...children: readonly Child[]): void {
  element.replaceChildren();
  append(element, children);
}

/** An element of index.html. */
export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`index.html has no #${id}`);
  return found;
}

/** A row of a list. It is updated in place, so that focus and selection stay. */
export interface ListRow<Item> {
  readonly element: HTMLElement;
  update(item: Item): void;
}

/** Shows a list of items, and reuses the elements of those that it already shows. */
export class KeyedList<Item> {
  readonly #parent: Element;
  readonly #key: (item: Item) => string;
  readonly #make: (item: Item) => ListRow<Item>;
  #rows = new Map<string, ListRow<Item>>();

  constructor(parent: Element, key: (item: Item) => string, make: (item: Item) => ListRow<Item>) {
    this.#parent = parent;
    this.#key = key;
    this.#make = make;
  }

  show(items: readonly Item[]): void {
    const rows = new Map<string, ListRow<Item>>();
    for (const item of items) {
      const key = this.#key(item);
      const row = this.#rows.get(key) ?? this.#make(item);
      row.update(item);
      rows.set(key, row);
    }
    for (const [key, { element }] of this.#rows) if (!rows.has(key)) element.remove();
    let at = this.#parent.firstElementChild;
    for (const { element } of rows.values()) {
      if (element === at) at = at.nextElementSibling;
      else this.#parent.insertBefore(element, at);
    }
    this.#rows = rows;
  }
}
