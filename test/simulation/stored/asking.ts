/** How clients in a simulation ask `titanic.*`, and read the answers. */
import { Frames } from '../../../src/core/frames.js';
import { clientRequest, readClientReply } from '../../../src/wire/client-side.js';
import type { Line } from '../actors/line.js';
import type { Delivered } from '../model/intent.js';
import { violated } from '../world/failure.js';

export function ask(line: Line, id: string | null, service: string, body: readonly string[]): void {
  const bytes = body.map((frame) => Buffer.from(frame));
  const name = Buffer.from(service);
  const frames = clientRequest(2, id === null ? null : Buffer.from(id), name, bytes);
  const intent = { enveloped: true, envelope: [], service, body: [] };
  line.send({ frames, intent: { ...intent, kind: 'request', version: 2 } });
}

/** The id of a question, and what it is answered. */
export function readAnswer(
  name: string,
  delivered: Delivered,
): { readonly id: string; readonly body: readonly string[]; readonly isPart: boolean } {
  const frames = Frames.of(...delivered);
  const reply = readClientReply(frames);
  if (reply.kind === 'malformed') violated(`${name} cannot read a reply`);
  const body = frames.copyFrom(reply.body).map(String);
  return { id: frames.view(0).toString(), body, isPart: reply.kind === 'partial' };
}
