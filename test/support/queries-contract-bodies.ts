import { present } from '../../src/core/assert.js';
import { Frames } from '../../src/core/frames.js';
import { pack, packedBytes } from '../../src/core/packed.js';
import type { Bodies } from '../../src/store/bodies.js';
import { extraOf } from '../../src/store/fields.js';
import type { QueriesSubject } from './queries-contract.js';
import { accept, close, reply } from './store-changes.js';

const MAX = 64 * 1024;
const MIB = 1024 * 1024;

function packed(...frames: readonly (string | Uint8Array)[]): Buffer {
  const message = Frames.of(...frames);
  const bytes = Buffer.alloc(packedBytes(message, 0, message.count));
  pack(message, 0, message.count, bytes, 0, false);
  return bytes;
}

export function describeBodies(subject: QueriesSubject): void {
  const bodies = (n: number): Promise<Bodies | null> => subject.queries.bodies(n);

  it('come with its headers, unless these are not valid', async () => {
    for (const [n, headers] of ['{"tenant":"a"}', '{"Tenant":"a"}', '{'].entries()) {
      const extra = present(
        extraOf(Buffer.from(headers), { backoff: { baseMs: 1, maxMs: 2 } }),
        'fields',
      );
      await subject.user.commit({ ...accept(n + 1, { body: packed('x') }), extra });
    }
    expect(await bodies(1)).toMatchObject({ headers: { tenant: 'a' } });
    expect(await bodies(2)).toMatchObject({ headers: null });
    expect(await bodies(3)).toMatchObject({ headers: null });
  });

  it('are the frames of the request and those of its reply, if there is one', async () => {
    const body = packed('one', '', Buffer.from([0, 255]));
    await subject.user.commit(accept(1, { body }));
    const frames = [
      { bytes: 3, data: Buffer.from('one') },
      { bytes: 0, data: Buffer.alloc(0) },
      { bytes: 2, data: Buffer.from([0, 255]) },
    ];
    const shown = { bytes: body.length, isCut: false, frames };
    expect(await bodies(1)).toEqual({ headers: null, body: shown, reply: null });
    await subject.user.commit(reply(1, { reply: packed('done') }));
    expect(await bodies(1)).toEqual({
      headers: null,
      body: shown,
      reply: { bytes: 6, isCut: false, frames: [{ bytes: 4, data: Buffer.from('done') }] },
    });
    await subject.user.commit(close(1));
    expect(await bodies(1)).toBeNull();
    await subject.user.commit(accept(2, { body: Buffer.alloc(0) }));
    expect(await bodies(2)).toMatchObject({ body: { bytes: 0, isCut: false, frames: [] } });
  });

  it('of 16 MiB are cut to 64 KiB, and marked as cut', async () => {
    const body = packed('head', Buffer.alloc(16 * MIB, 0x80), 'tail');
    await subject.user.commit(accept(1, { body }), reply(1, { reply: body }));
    const found = await bodies(1);
    const shown = {
      bytes: body.length,
      isCut: true,
      frames: [{ bytes: 4 }, { bytes: 16 * MIB, data: Buffer.alloc(MAX - 6 - 9, 0x80) }],
    };
    expect(found).toMatchObject({ body: shown, reply: shown });
  });

  it('are whole up to 64 KiB, and cut one byte above', async () => {
    await subject.user.commit(
      accept(1, { body: packed(Buffer.alloc(MAX - 9, 1)) }),
      accept(2, { body: packed(Buffer.alloc(MAX - 8, 1)) }),
      // The cut runs through the head of the second frame.
      accept(3, { body: packed(Buffer.alloc(MAX - 14, 1), Buffer.alloc(300)) }),
    );
    expect(await bodies(1)).toMatchObject({ body: { isCut: false, bytes: MAX } });
    expect(await bodies(2)).toMatchObject({
      body: { isCut: true, bytes: MAX + 1, frames: [{ data: Buffer.alloc(MAX - 9, 1) }] },
    });
    expect(await bodies(3)).toMatchObject({
      body: { isCut: true, frames: [{ bytes: MAX - 14, data: Buffer.alloc(MAX - 14, 1) }] },
    });
  });

  it('of text are cut between characters, and have at most 256 frames', async () => {
    const many = packed(...Array.from({ length: 300 }, (_, n) => String(n)));
    const text = '\u20ac'.repeat(MAX);
    await subject.user.commit(
      accept(1, { body: packed(text) }),
      accept(2, { body: packed(`x${text}`) }),
      accept(3, { body: packed(`xx${text}`) }),
      accept(4, { body: packed('\u{1f600}'.repeat(MAX)) }),
      accept(5, { body: many }),
    );
    for (const n of [1, 2, 3, 4]) {
      const { body } = present(await bodies(n), 'bodies');
      const data = body?.frames[0]?.data ?? Buffer.alloc(0);
      expect(data.length).toBeGreaterThan(MAX - 9 - 4);
      expect(data.toString('utf8')).not.toContain('\ufffd');
    }
    const { body } = present(await bodies(5), 'bodies');
    expect(body).toMatchObject({ isCut: true, bytes: many.length });
    expect(body?.frames).toHaveLength(256);
  });
}
