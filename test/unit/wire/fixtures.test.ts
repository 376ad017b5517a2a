/** What released versions sent over the link of a pair, read by today's codec. */
import { Fixtures, type LinkMessage, VERSIONS } from '../../support/fixtures.js';
import { again, linkContent } from '../../support/link-content.js';

describe.each(VERSIONS)('the link of a pair of %s', (version) => {
  const messages = new Fixtures(version).lines('link.jsonl') as LinkMessage[];

  it('has messages that are read as what they were, and are the same bytes when they are written again', () => {
    expect(messages.length).toBeGreaterThan(0);
    for (const { kind, content, fields, frames } of messages) {
      const bytes = frames.map((frame) => Buffer.from(frame, 'base64'));
      expect(linkContent(bytes)).toMatchObject({ kind, content, fields });
      const written = again(bytes).frames.map((frame) => frame.toString('base64'));
      expect([kind, ...written]).toEqual([kind, ...frames]);
    }
  });
});
