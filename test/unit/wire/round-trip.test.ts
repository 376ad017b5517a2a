import { Words } from '../../../src/core/bytes.js';
import fc from 'fast-check';

import { Frames } from '../../../src/core/frames.js';
import { pack, packedBytes } from '../../../src/core/packed.js';
import {
  clientRequest,
  clientRequestHead,
  clientRequestWithHeaders,
  clientRequestWithOptions,
} from '../../../src/wire/client-side.js';
import { Inbound } from '../../../src/wire/inbound.js';
import { CREDIT_MAX, EMPTY } from '../../../src/wire/mdp.js';
import { MessageWriter } from '../../../src/wire/outbound.js';
import { readRequestOptions, requestOptionsFrame } from '../../../src/wire/request-options.js';
import {
  workerFinal,
  workerPartial,
  workerReady,
  workerReturn,
} from '../../../src/wire/worker-side.js';
import { asRead } from '../../support/packed-frames.js';
import { bytesOf, type FrameText, scattered, textOf } from './layouts.js';
import { atBroker, atClient, atWorker } from './readers.js';
import { Recorder } from './recorder.js';

const PEER = 3;
const ONCE = requestOptionsFrame({ once: true });
const BARE_HEADERS = ['MDPC02', 'MDPW02'];

const version = fc.constantFrom<1 | 2>(1, 2);
function text(minBytes: number, maxBytes: number): fc.Arbitrary<FrameText> {
  return fc.uint8Array({ minLength: minBytes, maxLength: maxBytes, size: 'max' }).map(textOf);
}
const frame = fc.oneof(
  { weight: 6, arbitrary: text(0, 20) },
  { weight: 1, arbitrary: text(250, 300) },
  { weight: 1, arbitrary: fc.constantFrom('', 'MDPC01', 'MDPC02', 'MDPW01', 'MDPW02', '\x01') },
);
const body = fc.array(frame, { minLength: 1, maxLength: 5 });
const service = fc.oneof(text(1, 12), text(1, 255));
const token = text(0, 16);
/** As transports hand it over: each frame elsewhere, or all as they came over the wire. */
const layout = fc.constantFrom(scattered, (message: FrameText[]) => asRead(scattered(message)));
/** D24: the first id must not read like a 0.2 header. */
const envelope = fc
  .array(fc.oneof(text(1, 12), text(256, 300), fc.constantFrom('MDPC01', 'MDPW02')), {
    maxLength: 8,
  })
  .filter(([first]) => first === undefined || !BARE_HEADERS.includes(first));

function received(sent: readonly Uint8Array[]): Frames {
  return scattered(sent.map(textOf));
}

function buffers(frames: readonly FrameText[]): Buffer[] {
  return frames.map(bytesOf);
}

/** Packs the frames `[from, to)` as the broker keeps them. */
function kept(frames: Frames, from: number, to: number, open: boolean): Buffer {
  const bytes = Buffer.alloc(packedBytes(frames, from, to));
  pack(frames, from, to, bytes, 0, open);
  return bytes;
}

describe('From a client to a broker', () => {
  it('any request is read as it was sent (§2, D2)', () => {
    const correlation = fc.option(text(1, 40).filter((id) => !BARE_HEADERS.includes(id)));
    fc.assert(
      fc.property(version, correlation, service, body, (v, id, name, frames) => {
        const sent = clientRequest(
          v,
          id === null ? null : bytesOf(id),
          bytesOf(name),
          buffers(frames),
        );
        const bare = v === 1 ? [] : null;
        expect(atBroker(received(sent))).toEqual({
          kind: 'request',
          version: v,
          envelope: id === null ? bare : [id],
          service: name,
          body: frames,
        });
      }),
    );
  });
});

const deadlineMs = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 2 ** 31 - 1 }));
const headers = fc.oneof(text(0, 300), text(8000, 8192));

describe('From a client through a broker to a worker', () => {
  it('any headers arrive unchanged, with the deadline (D67)', () => {
    fc.assert(
      fc.property(version, service, deadlineMs, headers, body, (v, name, ms, given, frames) => {
        const metadata = { deadlineMs: ms, headers: bytesOf(given) };
        const sent = clientRequestWithHeaders(null, bytesOf(name), metadata, buffers(frames));
        const inbound = new Inbound();
        expect(atBroker(received(sent), inbound)).toEqual({
          kind: 'request',
          version: 2,
          envelope: null,
          service: name,
          deadlineMs: ms,
          headers: given,
          body: frames,
        });
        const rest = kept(inbound.frames, inbound.headers, inbound.frames.count, false);
        const out = new Recorder();
        const token = new Words(bytesOf('t'));
        new MessageWriter(out).requestWithHeaders(
          PEER,
          v,
          token,
          ms,
          new Words(rest),
          0,
          rest.length,
        );
        expect(atWorker(v, out.only(PEER))).toEqual({
          kind: 'request',
          client: 't',
          deadline: ms === 0 ? '' : String(ms),
          headers: given,
          body: frames,
        });
      }),
    );
  });
});

describe('A request with options', () => {
  const options = fc.oneof(text(0, 40), text(1000, 1100));

  it('is read as it was sent (D117)', () => {
    fc.assert(
      fc.property(service, options, deadlineMs, headers, body, (name, said, ms, given, frames) => {
        const metadata = { deadlineMs: ms, headers: bytesOf(given) };
        const sent = clientRequestWithOptions(
          bytesOf('id'),
          bytesOf(name),
          bytesOf(said),
          metadata,
          buffers(frames),
        );
        expect(atBroker(received(sent))).toEqual({
          kind: 'request',
          version: 2,
          envelope: ['id'],
          service: name,
          options: said,
          group: '',
          deadlineMs: ms,
          headers: given,
          body: frames,
        });
      }),
    );
  });

  it('has a head that is prepared once', () => {
    const id = bytesOf('id');
    const name = bytesOf('echo');
    const head = clientRequest(2, id, name, [EMPTY]).slice(0, -1);
    expect(clientRequestHead(2, id, name)).toEqual(kept(Frames.of(...head), 0, head.length, true));
  });

  it('has options that are read as they were written', () => {
    for (const once of [true, false]) {
      expect(readRequestOptions(requestOptionsFrame({ once }))).toEqual({ once });
    }
    expect(ONCE.toString()).toBe('{"once":true}');
  });
});

describe('From a worker to a broker', () => {
  it('any READY is read as it was sent, with and without credit (§3, D23)', () => {
    const credit = fc.option(fc.integer({ min: 1, max: CREDIT_MAX }));
    fc.assert(
      fc.property(version, service, credit, (v, name, n) => {
        expect(atBroker(received(workerReady(v, bytesOf(name), n)))).toEqual({
          kind: 'ready',
          version: v,
          service: name,
          credit: n ?? 1,
          declaresCredit: n !== null,
          workerName: null,
        });
      }),
    );
  });

  it('any name of a worker is read as it was said, cut after 64 characters (D67)', () => {
    const said = fc.oneof(fc.string({ unit: 'binary', maxLength: 80 }), fc.string());
    fc.assert(
      fc.property(version, said, (v, name) => {
        const read = atBroker(received(workerReady(v, bytesOf('s'), null, { name })));
        const kept = Array.from(name).slice(0, 64).join('');
        expect(read).toMatchObject({
          kind: 'ready',
          credit: 1,
          declaresCredit: true,
          workerName: kept === '' ? null : kept,
        });
      }),
    );
  });

  it('any REPLY, PARTIAL, FINAL and RETURN is read as it was sent (§3, D25)', () => {
    fc.assert(
      fc.property(version, token, body, fc.string(), (v, client, frames, reason) => {
        const to = bytesOf(client);
        const final = workerFinal(v, to, buffers(frames));
        const read = { kind: 'final', version: v, client, body: frames };
        expect(atBroker(received(final))).toEqual(read);
        const partial = workerPartial(to, buffers(frames));
        expect(atBroker(received(partial))).toEqual({ ...read, kind: 'partial', version: 2 });
        expect(atBroker(received(workerReturn(v, to, reason)))).toEqual({
          kind: 'return',
          version: v,
          client,
          body: [textOf(Buffer.from(reason))],
        });
      }),
    );
  });
});

describe('From a broker to a worker', () => {
  it('any REQUEST is read as it was sent, its body as it came from the client (§3)', () => {
    fc.assert(
      fc.property(version, token, body, (v, client, frames) => {
        const out = new Recorder();
        const packed = kept(scattered(frames), 0, frames.length, false);
        new MessageWriter(out).request(
          PEER,
          v,
          new Words(bytesOf(client)),
          new Words(packed),
          0,
          packed.length,
        );
        expect(atWorker(v, out.only(PEER))).toEqual({ kind: 'request', client, body: frames });
      }),
    );
  });
});

describe('From a client to a broker, to a worker and back', () => {
  it('any body arrives unchanged, in the envelope and form of the request (D1, D2)', () => {
    const form = fc.oneof(
      fc.record({ v: fc.constant(2 as const), ids: fc.constant(null) }),
      fc.record({ v: version, ids: envelope }),
    );
    const workers = fc.record({ version, client: token });
    fc.assert(
      fc.property(
        form,
        workers,
        service,
        body,
        body,
        layout,
        (from, worker, name, asked, told, laid) => {
          const header = from.v === 1 ? ['MDPC01'] : ['MDPC02', '\x01'];
          const start = from.ids === null ? [] : [...from.ids, ''];
          const request = laid([...start, ...header, name, ...asked]);
          const inbound = new Inbound();
          inbound.read(request);
          expect(inbound.kind).toBe('request');
          const ids = kept(request, 0, inbound.envelopeFrames, true);
          const path = {
            dialect: inbound.dialect,
            enveloped: inbound.enveloped,
            envelope: new Words(ids),
            envelopeStart: 0,
            envelopeEnd: ids.length,
          };
          const packed = kept(request, inbound.body, request.count, false);

          const toWorker = new Recorder();
          const { version: v, client } = worker;
          new MessageWriter(toWorker).request(
            PEER,
            v,
            new Words(bytesOf(client)),
            new Words(packed),
            0,
            packed.length,
          );
          const seen = atWorker(v, toWorker.only(PEER));
          expect(seen).toEqual({ kind: 'request', client, body: asked });

          inbound.read(laid(workerFinal(v, bytesOf(client), buffers(told)).map(textOf)));
          expect(inbound.kind).toBe('final');
          const toClient = new Recorder();
          new MessageWriter(toClient).reply(
            PEER,
            path,
            true,
            bytesOf(name),
            inbound.frames,
            inbound.body,
          );
          expect(atClient(toClient.only(PEER))).toEqual({
            kind: 'final',
            version: from.v,
            envelope: from.ids,
            service: name,
            body: told,
          });
        },
      ),
    );
  });
});
