/** The bodies of request and reply. They may be confidential, so they are loaded only on demand. */
import type { Bodies, BodyFrame, StoredBody } from '../admin/api/stored-answers.js';
import { hexRows, prettyJson } from './body-text.js';
import { choice } from './choice.js';
import { attempt, read } from './dialogs.js';
import { button, el, fill } from './dom.js';
import { bytes, lines } from './format.js';

type Way = 'text' | 'json' | 'hex';

const WAYS = [
  ['text', 'Text'],
  ['json', 'JSON'],
  ['hex', 'Hex'],
] as const;

const encoder = new TextEncoder();

function bytesOf({ encoding, data }: BodyFrame): Uint8Array {
  if (encoding === 'utf8') return encoder.encode(data);
  return Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
}

/** The best format that fits all frames. */
function bestWay(frames: readonly BodyFrame[]): Way {
  if (frames.some(({ encoding }) => encoding !== 'utf8')) return 'hex';
  const isJson = frames.some(({ data }) => /^\s*[[{]/.test(data) && prettyJson(data) !== null);
  return isJson ? 'json' : 'text';
}

function shownAs(frame: BodyFrame, way: Way): string {
  if (way === 'hex') return hexRows(bytesOf(frame));
  const text = frame.encoding === 'utf8' ? frame.data : new TextDecoder().decode(bytesOf(frame));
  return lines((way === 'json' ? prettyJson(text) : null) ?? text);
}

function sectionOf(name: string, body: StoredBody | null, way: Way): HTMLElement {
  const head = el('h3', {}, name);
  if (body === null) return el('section', {}, head, el('p', { class: 'quiet' }, 'None.'));
  const { frames, cut } = body;
  const count = frames.length === 1 ? '1 frame' : `${frames.length} frames`;
  const size = `${bytes(body.bytes)}${cut ? ', truncated' : ''}, ${count}`;
  return el(
    'section',
    {},
    head,
    el('p', { class: 'quiet' }, size),
    ...frames.map((frame, index) =>
      el(
        'pre',
        { class: 'detail', tabindex: 0, 'aria-label': `${name}, frame ${index + 1}` },
        shownAs(frame, way),
      ),
    ),
  );
}

function headersOf(headers: Bodies['headers']): HTMLElement {
  const all = Object.entries(headers ?? {});
  const head = el('h3', {}, 'Headers');
  if (all.length === 0) return el('section', {}, head, el('p', { class: 'quiet' }, 'None.'));
  const text = lines(all.map(([name, value]) => `${name}: ${value}`).join('\n'));
  return el('section', {}, head, el('pre', { class: 'detail', tabindex: 0 }, text));
}

/** @param uuid the whole uuid */
export function storedBodies(uuid: string): HTMLElement {
  const place = el('div', { class: 'bodies' });
  const show = ({ headers, body, reply }: Bodies): void => {
    const sections = el('div', {});
    const best = bestWay([...(body?.frames ?? []), ...(reply?.frames ?? [])]);
    const way = choice('Show bodies as', WAYS, best);
    const draw = (): void => {
      const chosen = way.value as Way;
      fill(
        sections,
        headersOf(headers),
        sectionOf('Request', body, chosen),
        sectionOf('Reply', reply, chosen),
      );
    };
    way.addEventListener('change', draw);
    draw();
    fill(place, way, hide, sections);
  };
  const open = button('Show bodies', 'button', () => {
    attempt(async () => {
      const path = `/api/v1/titanic/requests/${encodeURIComponent(uuid)}/bodies`;
      const bodies = await read<Bodies>(path, 'Bodies');
      if (bodies !== null) show(bodies);
    });
  });
  const hide = button('Hide bodies', 'button', () => {
    fill(place, open);
  });
  fill(place, open);
  return place;
}
