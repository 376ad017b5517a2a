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
  const { kind, version } = inbound;
  switch (kind) {
    case 'malformed':
      return { kind, of: inbound.malformed };
    case 'request': {
      const { enveloped, envelopeFrames, service, body } = inbound;
      const envelope = enveloped ? textsOf(frames, 0, envelopeFrames) : null;
      return { kind, version, envelope, service: text(service), body: textsOf(frames, body) };
    }
    case 'ready': {
      const { credit, declaresCredit, service, workerName } = inbound;
      return { kind, version, service: text(service), credit, declaresCredit, workerName };
    }
    case 'final':
    case 'partial':
    case 'return':
    case 'fail':
      return {
        kind,
        version,
        client: text(inbound.client),
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
  return {
    kind: message.kind,
    client: textOf(frames.view(message.client)),
    body: textsOf(frames, message.body),
  };
}
