import {
  groupIn,
  headersFrame,
  idempotencyKey,
  mayDiffer,
  onceIn,
  prefersAsync,
  refuseOptions,
  sameHeaders,
  wantedBy,
} from '../../../src/extensions/programs/headers.js';

const frame = (given: Readonly<Record<string, string[]>>): string => headersFrame(given).toString();

describe('headers of a program’s request', () => {
  it('become those of the MDP request: with the prefix, what the body is, and the trace', () => {
    const given = {
      'content-type': ['text/plain'],
      traceparent: ['00-1-2-01'],
      'majordomo-header-tenant': ['acme'],
      'majordomo-header-name': [Buffer.from('Zoë').toString('latin1')],
      'majordomo-header-many': ['a', 'b'],
      authorization: ['Bearer hush'],
      cookie: ['hush'],
    };
    expect(JSON.parse(frame(given))).toEqual({
      ...{ 'content-type': 'text/plain', traceparent: '00-1-2-01' },
      ...{ tenant: 'acme', name: 'Zoë', many: 'a, b' },
    });
    expect(frame({ host: ['x'] })).toBe('');
    // The prefix wins.
    const twice = { 'content-type': ['a/b'], 'majordomo-header-content-type': ['c/d'] };
    expect(frame(twice)).toBe('{"content-type":"c/d"}');
  });

  it('are refused if they are none of MDP', () => {
    for (const given of [
      { 'majordomo-header-': ['x'] },
      { 'majordomo-header-a_b': ['x'] },
      { 'majordomo-header-__proto__': ['x'] },
      { 'majordomo-header-a': ['x'.repeat(8193)] },
    ]) {
      expect(() => frame(given)).toThrow(/^Majordomo-Header-NAME: /);
    }
  });

  it.each([
    ['majordomo-header-webhook', 'webhook: use the header Majordomo-Webhook'],
    ['majordomo-header-ttlms', 'ttlMs: use the parameter ttlMs of the URL'],
    ['majordomo-header-ttl-ms', 'ttlMs: use the parameter ttlMs of the URL'],
    ['majordomo-delay-ms', 'delayMs: use the parameter delayMs of the URL'],
    ['majordomo-timeout-ms', 'timeoutMs: use the parameter timeoutMs of the URL'],
    ['majordomo-header-idempotency-key', 'idempotencyKey: use the header Idempotency-Key'],
    ['majordomo-backoff', 'backoff: HTTP does not have it'],
    ['majordomo-header-group', 'group: use the header Majordomo-Group'],
  ])('are refused with a stored request if they look like an option: %s', (name, said) => {
    expect(() => {
      refuseOptions({ [name]: ['x'] });
    }).toThrow(`${name}: looks like the option ${said}`);
  });

  it('are no options if HTTP has them as headers, or their names are others', () => {
    for (const name of [
      'majordomo-webhook',
      'idempotency-key',
      'priority',
      'majordomo-header-ttl',
    ]) {
      refuseOptions({ [name]: ['x'] });
    }
  });

  it('are refused, and named, if their bytes are not UTF-8: two texts would become the same one', () => {
    for (const name of ['content-type', 'tracestate', 'majordomo-header-customer']) {
      expect(() => frame({ [name]: ['M\xfcller'] })).toThrow(`${name}: its bytes are not UTF-8`);
    }
    for (const key of ['\xff', '\xfe', 'M\xfcller', '\xed\xa0\x80']) {
      const asked = (): unknown => idempotencyKey({ 'idempotency-key': [key] });
      expect(asked).toThrow('Idempotency-Key: its bytes are not UTF-8');
    }
    const given = { 'idempotency-key': [Buffer.from('Müller \ufffd').toString('latin1')] };
    expect(idempotencyKey(given)).toEqual({ key: 'Müller \ufffd', quoted: null });
  });

  it('ask for a durable request by respond-async', () => {
    for (const prefer of ['respond-async', 'wait=10, Respond-Async', 'respond-async; x=1, y']) {
      expect(prefersAsync({ prefer: [prefer] })).toBe(true);
    }
    expect(prefersAsync({ prefer: ['wait=1', 'respond-async'] })).toBe(true);
    for (const prefer of ['', 'respond-asynchronously', 'x="respond-async"']) {
      expect(prefersAsync({ prefer: [prefer] })).toBe(false);
    }
    expect(prefersAsync({})).toBe(false);
  });

  it('name one idempotency key', () => {
    const key = (value: string): unknown => idempotencyKey({ 'idempotency-key': [value] });
    expect(key('8e03')).toEqual({ key: '8e03', quoted: null });
    expect(key('"8e03"')).toEqual({ key: '8e03', quoted: '"8e03"' });
    expect(idempotencyKey({})).toBeNull();
    for (const wrong of ['', 'x'.repeat(256)]) expect(() => key(wrong)).toThrow('1 to 255 bytes');
    expect(() => idempotencyKey({ 'idempotency-key': ['a', 'b'] })).toThrow('one key');
  });

  it('have it run once, or not, in words that are known', () => {
    const once = (...values: string[]): boolean => onceIn({ 'majordomo-once': values }, false);
    expect(onceIn({}, false)).toBe(false);
    for (const yes of ['true', 'True', '1']) expect(once(yes)).toBe(true);
    for (const no of ['false', '0']) expect(once(no)).toBe(false);
    for (const wrong of [[''], ['yes'], ['true, true'], ['true', 'true'], ['?1']]) {
      expect(() => once(...wrong)).toThrow('Majordomo-Once: must be true or false');
    }
    expect(() => onceIn({ 'majordomo-once': ['true'] }, true)).toThrow('maxAttempts=1');
  });

  it('name a group, in UTF-8', () => {
    const group = (...values: string[]): string | null => groupIn({ 'majordomo-group': values });
    expect(groupIn({})).toBeNull();
    expect(group('tenant 7')).toBe('tenant 7');
    expect(group(Buffer.from('Gerät').toString('latin1'))).toBe('Gerät');
    for (const wrong of [[''], ['x'.repeat(256)], ['a', 'a']]) {
      expect(() => group(...wrong)).toThrow('Majordomo-Group: must be a string of valid Unicode');
    }
    expect(() => group('\xff')).toThrow('Majordomo-Group: its bytes are not UTF-8');
    // It is read anew for each request of a kept connection.
    expect(mayDiffer('majordomo-group')).toBe(true);
    expect(() => refuseOptions({ 'majordomo-group': ['a'] })).not.toThrow();
  });

  it('make two requests different, but for the trace, and for the boundary and order of what is sent', () => {
    const given = {
      ...{ 'content-type': ['text/plain'], 'majordomo-header-a': ['1'] },
      ...{ accept: ['a/b'], 'majordomo-once': ['1'], 'majordomo-group': ['a'] },
    };
    const { 'content-type': type, ...others } = given;
    const trace = { traceparent: ['00-1'], tracestate: ['x'], 'x-request-id': ['7'] };
    expect(sameHeaders({ ...trace, ...others, 'content-type': type })).toBe(sameHeaders(given));
    for (const name of Object.keys(given)) {
      const other = name === 'majordomo-once' ? '0' : 'c/d';
      expect(sameHeaders({ ...given, [name]: [other] })).not.toBe(sameHeaders(given));
    }
    const [one, two] = ['x', 'y'].map((each) =>
      sameHeaders({ 'content-type': [`multipart/mixed; boundary=${each}`] }),
    );
    expect(one).toBe(two);
  });

  it.each([
    [undefined, 'bytes application/octet-stream'],
    ['*/*', 'bytes application/octet-stream'],
    ['application/json', 'bytes application/json'],
    ['text/plain; charset=utf-8', 'bytes text/plain; charset=utf-8'],
    ['application/json, text/plain', 'bytes application/octet-stream'],
    ['application/json;q=0.5', 'bytes application/octet-stream'],
    ['text/plain\r\nx: y', 'bytes application/octet-stream'],
    ['text/event-stream', 'events'],
    ['text/html, Text/Event-Stream;q=0.9', 'events'],
    ['multipart/mixed', 'parts'],
  ])('Accept: %s gives %s', (accept, expected) => {
    const wanted = wantedBy(accept === undefined ? {} : { accept: [accept] });
    expect(wanted.kind === 'bytes' ? `bytes ${wanted.type}` : wanted.kind).toBe(expected);
  });
});
