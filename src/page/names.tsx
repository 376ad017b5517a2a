/**
 * Shows names and texts that peers chose. They are always text, never HTML, and what could mislead a
 * reader (control characters, those that reverse text) is escaped.
 */
import type { VNode } from 'preact';
import { Fragment } from 'preact';

import { Copy } from './controls.js';
import { linkTo } from './address.js';

export const UUID = /^[\da-f]{32}$/i;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** So much of a word stays together. */
const LONG_WORD = /.{1,14}/gsu;
const ESCAPED = /(?:%[\dA-F]{2})+/g;
/** Invisible characters, and spaces that look like another one. */
const UNSEEN = /[\p{C}\p{Z}]/u;

/** `%D9%85` → `م`. Bytes that are not text, and characters that are not seen, stay escaped. */
export function decoded(escaped: string): string {
  return escaped.replaceAll(ESCAPED, (run: string, at: number) => {
    const bytes = Uint8Array.from(run.slice(1).split('%'), (hex) => parseInt(hex, 16));
    const rest = escaped.slice(at + run.length);
    let text: string;
    try {
      text = utf8.decode(bytes);
    } catch {
      return run;
    }
    return decodedRun(text, rest);
  });
}

/** @param rest what follows: a `%` before two digits would look like an escaped byte */
function decodedRun(text: string, rest: string): string {
  let made = '';
  for (const character of Array.from(text).reverse()) {
    const isMisread = character === '%' && /^[\da-f]{2}/i.test(made + rest);
    made = (UNSEEN.test(character) || isMisread ? escapedAgain(character) : character) + made;
  }
  return made;
}

function escapedAgain(character: string): string {
  const bytes = [...new TextEncoder().encode(character)];
  return bytes.map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
}

/** A name that the API escapes. */
export function Name({ name }: { name: string }): VNode {
  const shown = decoded(name);
  return (
    <bdi class="name" title={shown === name ? undefined : name}>
      <Breaking text={shown} />
    </bdi>
  );
}

/** A text that may break after its separators; and in a word only if that is long. A cell is never wider than that. */
export function Breaking({ text }: { text: string }): VNode {
  const parts = text.split(/(?<=[-._:/])(?=.)/u).flatMap((part) => part.match(LONG_WORD) ?? []);
  return (
    <>
      {parts.map((part, index) => (
        <Fragment key={index}>
          {index === 0 ? null : <wbr />}
          {part}
        </Fragment>
      ))}
    </>
  );
}

export function ServiceLink({ service }: { service: string }): VNode {
  return (
    <a href={linkTo('services', service)}>
      <Name name={service} />
    </a>
  );
}

/** A link to the page of a worker. */
export function WorkerLink({ worker, name }: { worker: string; name: string | null }): VNode {
  return (
    <a href={linkTo('workers', worker)}>
      {name === null ? `worker ${worker}` : <Name name={name} />}
    </a>
  );
}

/** A link to the history of a request. It shows the end of the uuid, which begins with the time. */
export function UuidLink({ uuid }: { uuid: string }): VNode {
  return (
    <span class="uuid">
      <a href={linkTo('durable', uuid)} title={uuid}>
        <bdi dir="ltr">{uuid}</bdi>
      </a>
      <Copy text={uuid} title={`Copy UUID ${uuid}`} />
    </span>
  );
}

const GRADES: ReadonlyMap<string, string> = new Map([
  ['active', 'good'],
  ['busy', 'info'],
  ['dead', 'bad'],
  ['dispatched', 'info'],
  ['paused', 'warn'],
  ['replied', 'good'],
]);

/** A state as a coloured label. */
export function StatePill({ state }: { state: string }): VNode {
  return <span class={`pill ${GRADES.get(state) ?? 'quiet'}`}>{state}</span>;
}

/** A link to a URL that the other node of the pair reported; `null` if it is not an HTTP URL. */
export function OuterLink(given: {
  href: string | null;
  style: string;
  label: string;
}): VNode | null {
  const { href, style, label } = given;
  if (href === null || !/^https?:\/\//.test(href)) return null;
  return (
    <a href={href} class={style} rel="noreferrer">
      {label}
    </a>
  );
}
