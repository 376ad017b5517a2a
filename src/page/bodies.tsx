/** The bodies of request and reply. They may be confidential, so they are loaded only on demand. */
import { useSignal } from '@preact/signals';
import { type ComponentChildren, Fragment, type VNode } from 'preact';

import type { Bodies as Loaded, BodyFrame } from '../admin/api/stored-answers.js';
import { hexRows, prettyJson } from './body-text.js';
import { Button, Choice } from './controls.js';
import { read } from './dialogs.js';
import { bytes, lines, plural } from './format.js';

const WAYS = [
  ['text', 'Text'],
  ['json', 'JSON'],
  ['hex', 'Hex'],
] as const;

/** What a body has to show. */
export interface ShownBody {
  /** Bytes of the whole body. */
  readonly bytes: number;
  /** The frames are not all of it. */
  readonly cut: boolean;
  readonly frames: readonly (Omit<BodyFrame, 'bytes'> & Partial<BodyFrame>)[];
}

const encoder = new TextEncoder();

export function bytesOf({ encoding, data }: ShownBody['frames'][number]): Uint8Array {
  if (encoding === 'utf8') return encoder.encode(data);
  return Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
}

/** The best format that fits all frames. */
function bestWay(bodies: readonly (ShownBody | null)[]): string {
  const frames = bodies.flatMap((body) => body?.frames ?? []);
  if (frames.some(({ encoding }) => encoding !== 'utf8')) return 'hex';
  const isJson = frames.some(({ data }) => /^\s*[[{]/.test(data) && prettyJson(data) !== null);
  return isJson ? 'json' : 'text';
}

function shownAs(frame: ShownBody['frames'][number], way: string): string {
  if (way === 'hex') return hexRows(bytesOf(frame));
  const text = frame.encoding === 'utf8' ? frame.data : new TextDecoder().decode(bytesOf(frame));
  return lines((way === 'json' ? prettyJson(text) : null) ?? text);
}

function Body({ name, body, way }: { name: string; body: ShownBody | null; way: string }): VNode {
  const frames = body?.frames ?? [];
  // The body as stored has the lengths of its frames, too.
  const whole = frames.reduce((sum, frame) => sum + (frame.bytes ?? bytesOf(frame).length), 0);
  const size = `${bytes(body?.cut === true ? body.bytes : whole)}${body?.cut === true ? ', truncated' : ''}, ${plural(frames.length, 'frame')}`;
  return (
    <section>
      <h3>{name}</h3>
      <p class="quiet">{body === null ? 'None.' : size}</p>
      {frames.map((frame, index) => (
        <Fragment key={index}>
          {frames.length === 1 ? null : (
            <p class="quiet">{`Frame ${index + 1}: ${bytes(frame.bytes ?? bytesOf(frame).length)}`}</p>
          )}
          <pre class="detail" tabIndex={0} aria-label={`${name}, frame ${index + 1}`}>
            {shownAs(frame, way)}
          </pre>
        </Fragment>
      ))}
    </section>
  );
}

function Facts({ name, of }: { name: string; of: Loaded['headers'] }): VNode {
  const all = Object.entries(of ?? {});
  const text = all.map(([name, value]) => `${name}: ${value}`).join('\n');
  return (
    <section>
      <h3>{name}</h3>
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

type Named = readonly (readonly [name: string, body: ShownBody | null])[];

/** Bodies, and the choice of their format. */
export function ShownBodies(given: { of: Named; children?: ComponentChildren }): VNode {
  const chosen = useSignal<string | null>(null);
  const way = chosen.value ?? bestWay(given.of.map(([, body]) => body));
  return (
    <div class="bodies">
      <Choice
        label="Show bodies as"
        options={WAYS}
        value={way}
        chosen={(now) => {
          chosen.value = now;
        }}
      />
      {given.children}
      {given.of.map(([name, body]) => (
        <Body key={name} name={name} body={body} way={way} />
      ))}
    </div>
  );
}

/** @param uuid the whole uuid */
export function Bodies({ uuid }: { uuid: string }): VNode {
  const loaded = useSignal<Loaded | null>(null);
  const open = async (): Promise<void> => {
    const path = `/api/v1/titanic/requests/${encodeURIComponent(uuid)}/bodies`;
    loaded.value = await read<Loaded>(path, 'Bodies');
  };
  const { value } = loaded;
  if (value === null) {
    return (
      <div class="bodies">
        <Button label="Show bodies" isCommand act={open} />
      </div>
    );
  }
  const bodies = [
    ['Request', value.body],
    ['Reply', value.reply],
  ] as const;
  return (
    <ShownBodies of={bodies}>
      <Button label="Hide bodies" act={() => (loaded.value = null)} />
      {value.own === null ? null : <Facts name="Its own" of={value.own} />}
      <Facts name="Headers" of={value.headers} />
    </ShownBodies>
  );
}
