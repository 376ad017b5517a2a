/** A request that a person sends to a service, as a program does over HTTP, and what becomes of it. */
import { type Signal, signal, useSignal } from '@preact/signals';
import type { VNode } from 'preact';

import { messageOf, ofNode, withQuery } from './api.js';
import { bytesOf, type ShownBody, ShownBodies } from './bodies.js';
import { partsIn, typedBytes } from './body-text.js';
import { Button, Card, Choice } from './controls.js';
import { bytes, line, millis } from './format.js';
import { UuidLink } from './names.js';
import { overview } from './node.js';

/** So much of a reply is loaded and shown. */
const REPLY_BYTES_MAX = 64 * 1024;
/** What is longer behind a part is another one. */
const CLOSING_BYTES_MAX = 60;
/** So much of a failure is loaded, with its detail: 64 KiB, which JSON makes longer. */
const ANSWER_BYTES_MAX = 512 * 1024;

const WAYS = [
  ['text', 'Text'],
  ['base64', 'Base64'],
  ['hex', 'Hex'],
] as const;
const KINDS = [
  ['plain', 'Plain: wait for the reply'],
  ['durable', 'Durable: store the request'],
] as const;

/** What to do about a failure. */
const ROLE = 'Give the token of an entry of http.tokens that has role: request.';
const ADVICE: Readonly<Record<string, string>> = {
  ERR_HTTP_TOKEN: ROLE,
  ERR_HTTP_ROLE: ROLE,
  ERR_HTTP_FORBIDDEN: 'Name this service in client of that entry of http.tokens.',
};

/** A token that sends requests, and may do nothing else; kept until this page is loaded again. */
const programToken = signal('');

interface Sent {
  readonly grade: 'good' | 'bad';
  /** The status, and the code of a failure. */
  readonly title: string;
  readonly text: string;
  /** The UUID of a stored request; `null`: nothing was stored. */
  readonly uuid: string | null;
  readonly body: ShownBody | null;
}

export function TestRequest({ service }: { service: string }): VNode {
  const isOpen = useSignal(false);
  const act = (): unknown => (isOpen.value = !isOpen.value);
  return (
    <Card
      title="Test request"
      tools={<Button label={isOpen.value ? 'Close' : 'Write one'} style="button small" act={act} />}
    >
      {isOpen.value ? <Opened service={service} /> : null}
    </Card>
  );
}

function Opened({ service }: { service: string }): VNode {
  if (overview.value?.programs === true) return <Form service={service} />;
  return (
    <p class="quiet">
      This node takes no requests over HTTP. To have it take some, give <code>http.tokens</code> an
      entry with <code>role: request</code> that names this service in <code>client</code>, such as{' '}
      <code>{`{name: page, role: request, tokenFile: /run/page.token, client: ['*']}`}</code>, and
      start the node again.
    </p>
  );
}

function Form({ service }: { service: string }): VNode {
  const way = useSignal('text');
  const kind = useSignal('plain');
  const sent = useSignal<Sent | null>(null);
  const wrong = useSignal('');
  const abort = useSignal<AbortController | null>(null);
  const submit = (event: SubmitEvent & { readonly currentTarget: HTMLFormElement }): void => {
    event.preventDefault();
    const typed = new FormData(event.currentTarget);
    const field = (name: string): string => {
      const value = typed.get(name);
      return typeof value === 'string' ? value : '';
    };
    const body = typedBytes(field('body'), way.value);
    programToken.value = field('token').trim();
    wrong.value = body === null ? `The body is not ${way.value}.` : '';
    if (body === null || abort.value !== null) return;
    const stop = new AbortController();
    [abort.value, sent.value] = [stop, null];
    const deadlineMs = Math.round(Number(field('seconds')) * 1000);
    void send(service, { body, deadlineMs, isDurable: kind.value === 'durable' }, stop.signal)
      .catch((error: unknown) => {
        wrong.value = stop.signal.aborted ? 'Given up.' : `No answer: ${messageOf(error)}`;
        return null;
      })
      .then((now) => {
        [abort.value, sent.value] = [null, now];
      });
  };
  const choice = (
    label: string,
    options: Parameters<typeof Choice>[0]['options'],
    of: Signal<string>,
  ): VNode => {
    const chosen = (value: string): void => {
      of.value = value;
    };
    return <Choice label={label} options={options} value={of.value} chosen={chosen} />;
  };
  const stop = (): void => abort.value?.abort();
  return (
    <>
      <form onSubmit={submit}>
        <textarea name="body" rows={4} aria-label="Body" placeholder="Body" spellcheck={false} />
        <div class="filters">
          {choice('The body is', WAYS, way)}
          {choice('Kind', KINDS, kind)}
          <label class="quiet">
            Deadline in seconds{' '}
            <input type="number" name="seconds" min="0.001" step="any" defaultValue="10" required />
          </label>
          <input
            type="password"
            name="token"
            aria-label="Token with role: request"
            placeholder="Token with role: request"
            defaultValue={programToken.peek()}
            autocomplete="off"
            required
          />
          <button type="submit" class="button primary" disabled={abort.value !== null}>
            Send
          </button>
          {abort.value === null ? null : <Button label="Give up" act={stop} />}
        </div>
      </form>
      <p class="wrong" role="alert">
        {wrong}
      </p>
      <div role="status">{sent.value === null ? null : <Outcome {...sent.value} />}</div>
    </>
  );
}

function Outcome({ grade, title, text, uuid, body }: Sent): VNode {
  return (
    <>
      <p class={`state ${grade}`}>
        <strong>{title}</strong>: {text} {uuid === null ? null : <UuidLink uuid={uuid} />}
      </p>
      {body === null ? null : <ShownBodies of={[[grade === 'good' ? 'Reply' : 'Detail', body]]} />}
    </>
  );
}

interface Order {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly deadlineMs: number;
  readonly isDurable: boolean;
}

async function send(
  service: string,
  { body, deadlineMs, isDurable }: Order,
  abort: AbortSignal,
): Promise<Sent> {
  const deadline = String(deadlineMs);
  const query = isDurable ? { durable: 'true', ttlMs: deadline } : { timeoutMs: deadline };
  const path = withQuery(`/api/v1/services/${encodeURIComponent(service)}/requests`, query);
  const startedAt = performance.now();
  const response = await fetch(ofNode(path), {
    method: 'POST',
    headers: { authorization: `Bearer ${programToken.value}`, accept: 'multipart/mixed' },
    body,
    signal: abort,
    cache: 'no-store',
    credentials: 'omit',
  });
  const { status } = response;
  const reply = await beginningOf(response, status === 200 ? REPLY_BYTES_MAX : ANSWER_BYTES_MAX);
  const took = `after ${millis(performance.now() - startedAt)}`;
  const made = { grade: 'good', title: String(status), uuid: null, body: null } as const;
  if (status === 200) {
    const parts = partsIn(reply);
    const size = parts.reduce((sum, part) => sum + part.bytes, 0);
    const frames = parts.map(({ bytes: whole, data }) => ({ ...frameOf(data), bytes: whole }));
    const all = Number(response.headers.get('content-length'));
    const more = all - (parts.at(-1)?.end ?? all) > CLOSING_BYTES_MAX ? 'more than ' : '';
    const text = `a reply of ${more}${bytes(size)} ${took}.`;
    return { ...made, text, body: { bytes: size, cut: all > reply.length, frames } };
  }
  const { uuid = null, error = {} } = toldIn(new TextDecoder().decode(reply));
  if (response.ok) return { ...made, text: `stored ${took}:`, uuid };
  const { code = '', serviceCode = '', message = '', detail = [] } = error;
  const title = line(`${status} ${code} ${serviceCode}`.trim());
  const text = `${line(message)}, ${took}. ${ADVICE[code] ?? ''}`;
  const size = detail.reduce((sum, frame) => sum + bytesOf(frame).length, 0);
  const frames = detail.length === 0 ? null : { bytes: size, cut: false, frames: detail };
  return { grade: 'bad', title, text, uuid, body: frames };
}

/** The JSON of an answer without a reply. */
interface Told {
  readonly uuid?: string;
  readonly error?: {
    readonly code?: string;
    readonly serviceCode?: string;
    readonly message?: string;
    readonly detail?: ShownBody['frames'];
  };
}

/** A proxy may answer in another form. */
function toldIn(text: string): Told {
  try {
    return JSON.parse(text) as Told;
  } catch {
    return { error: { message: text.slice(0, 200) } };
  }
}

/** What is not shown of a large reply is not loaded. */
async function beginningOf({ body }: Response, bytesMax: number): Promise<Uint8Array> {
  const reader = body?.getReader();
  const read = new Uint8Array(bytesMax);
  let length = 0;
  while (reader !== undefined && length < bytesMax) {
    const { done, value } = await reader.read();
    if (done) return read.subarray(0, length);
    const part = value.subarray(0, bytesMax - length);
    read.set(part, length);
    length += part.length;
  }
  await reader?.cancel();
  return read.subarray(0, length);
}

function frameOf(read: Uint8Array): ShownBody['frames'][number] {
  try {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    return { encoding: 'utf8', data: decoder.decode(read) };
  } catch {
    return {
      encoding: 'base64',
      data: btoa(Array.from(read, (byte) => String.fromCharCode(byte)).join('')),
    };
  }
}
