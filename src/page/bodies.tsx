/** The bodies of request and reply. They may be confidential, so they are loaded only on demand. */
import { useSignal } from '@preact/signals';
import type { VNode } from 'preact';

import type { Bodies as Loaded, BodyFrame, StoredBody } from '../admin/api/stored-answers.js';
import { hexRows, prettyJson } from './body-text.js';
import { Button, Choice } from './controls.js';
import { read } from './dialogs.js';
import { bytes, lines } from './format.js';

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
function bestWay({ body, reply }: Loaded): string {
  const frames = [...(body?.frames ?? []), ...(reply?.frames ?? [])];
  if (frames.some(({ encoding }) => encoding !== 'utf8')) return 'hex';
  const isJson = frames.some(({ data }) => /^\s*[[{]/.test(data) && prettyJson(data) !== null);
  return isJson ? 'json' : 'text';
}

function shownAs(frame: BodyFrame, way: string): string {
  if (way === 'hex') return hexRows(bytesOf(frame));
  const text = frame.encoding === 'utf8' ? frame.data : new TextDecoder().decode(bytesOf(frame));
  return lines((way === 'json' ? prettyJson(text) : null) ?? text);
}

function Body({ name, body, way }: { name: string; body: StoredBody | null; way: string }): VNode {
  const frames = body?.frames ?? [];
  const number = frames.length === 1 ? '1 frame' : `${frames.length} frames`;
  const size = `${bytes(body?.bytes ?? 0)}${body?.cut === true ? ', truncated' : ''}, ${number}`;
  return (
    <section>
      <h3>{name}</h3>
      <p class="quiet">{body === null ? 'None.' : size}</p>
      {frames.map((frame, index) => (
        <pre key={index} class="detail" tabIndex={0} aria-label={`${name}, frame ${index + 1}`}>
          {shownAs(frame, way)}
        </pre>
      ))}
    </section>
  );
}

function Headers({ headers }: Pick<Loaded, 'headers'>): VNode {
  const all = Object.entries(headers ?? {});
  const text = all.map(([name, value]) => `${name}: ${value}`).join('\n');
  return (
    <section>
      <h3>Headers</h3>
      {all.length === 0 ? (
        <p class="quiet">None.</p>
      ) : (
        <pre class="detail" tabIndex={0}>
          {lines(text)}
        </pre>
      )}
    </section>
  );
}

/** @param uuid the whole uuid */
export function Bodies({ uuid }: { uuid: string }): VNode {
  const loaded = useSignal<Loaded | null>(null);
  const way = useSignal('text');
  const open = async (): Promise<void> => {
    const path = `/api/v1/titanic/requests/${encodeURIComponent(uuid)}/bodies`;
    const bodies = await read<Loaded>(path, 'Bodies');
    if (bodies === null) return;
    way.value = bestWay(bodies);
    loaded.value = bodies;
  };
  const { value } = loaded;
  if (value === null) {
    return (
      <div class="bodies">
        <Button label="Show bodies" act={open} />
      </div>
    );
  }
  return (
    <div class="bodies">
      <Choice
        label="Show bodies as"
        options={WAYS}
        value={way.value}
        chosen={(chosen) => {
          way.value = chosen;
        }}
      />
      <Button label="Hide bodies" act={() => (loaded.value = null)} />
      <div>
        <Headers headers={value.headers} />
        <Body name="Request" body={value.body} way={way.value} />
        <Body name="Reply" body={value.reply} way={way.value} />
      </div>
    </div>
  );
}
