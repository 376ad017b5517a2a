import type { Frames } from '../../../src/core/frames.js';
import { readClientReply } from '../../../src/wire/client-side.js';
import { Inbound } from '../../../src/wire/inbound.js';
import type { MdpVersion } from '../../../src/wire/mdp.js';
import { readWorkerInbound } from '../../../src/wire/worker-side.js';
import { type FrameText, textOf, textsOf } from './layouts.js';

/** What a reader made of a message: the fields of its kind, frames as text instead of indexes. */
export type Read = Readonly<Record<string, unknown>>;

/** What the broker reads; `Inbound` is reused, so a test may give one that has read before. */
export function atBroker(frames: Frames, inbound: Inbound = new Inbound()): Read {
  inbound.read(frames);
  const text = (index: number): FrameText => textOf(inbound.frames.view(index));
  const { kind, dialect: version } = inbound;
  switch (kind) {
    case 'ping':
    case 'probe':
      return { kind };
    case 'malformed':
      return { kind, of: inbound.fault.kind };
    case 'request': {
      const { enveloped, envelopeFrames, service, headers, deadlineMs, body } = inbound;
      const envelope = enveloped ? textsOf(frames, 0, envelopeFrames) : null;
      const read = { kind, version, envelope, service: text(service), body: textsOf(frames, body) };
      const { options } = inbound;
      const said = options < 0 ? {} : { options: text(options), group: text(options + 1) };
      return headers < 0 ? read : { ...read, ...said, deadlineMs, headers: text(headers) };
    }
    case 'runs':
      return {
        kind,
        version,
        service: text(inbound.service),
        groups: textsOf(frames, inbound.body),
      };
    case 'ready': {
      const { credit, declaresCredit, service, workerName, wantsHeaders } = inbound;
      const read = { kind, version, service: text(service), credit, declaresCredit, workerName };
      return wantsHeaders ? { ...read, wantsHeaders } : read;
    }
    case 'final':
    case 'partial':
    case 'return':
    case 'fail':
      return {
        kind,
        version,
        client: text(inbound.token),
        body: textsOf(frames, inbound.body),
      };
    case 'heartbeat':
    case 'disconnect':
      return { kind, version };
  }
}

export function atClient(frames: Frames): Read {
  const reply = readClientReply(frames);
  if (reply.kind === 'malformed') {
    return { kind: reply.kind, explained: reply.reason.length > 0 };
  }
  const { kind, version, envelopeFrames, service, body } = reply;
  return {
    kind,
    version,
    envelope: envelopeFrames < 0 ? null : textsOf(frames, 0, envelopeFrames),
    service: textOf(frames.view(service)),
    body: textsOf(frames, body),
  };
}

export function atWorker(version: MdpVersion, frames: Frames): Read {
  const message = readWorkerInbound(version, frames);
  if (message.kind === 'malformed') {
    return { kind: message.kind, explained: message.reason.length > 0 };
  }
  if (message.kind !== 'request') return { kind: message.kind };
  const { kind, token, headers, group, body } = message;
  const read = { kind, client: textOf(frames.view(token)), body: textsOf(frames, body) };
  if (headers < 0) return read;
  return {
    ...read,
    ...(group < 0 ? {} : { group: textOf(frames.view(group)) }),
    deadline: frames.view(headers - 1).toString(),
    headers: textOf(frames.view(headers)),
  };
}
