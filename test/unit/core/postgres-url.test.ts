import { isPostgres, databaseAddressOf, shownHost } from '../../../src/core/postgres-url.js';

describe('the URL of a database', () => {
  it('names hosts in their order, a user and a database, with the default port', () => {
    expect(databaseAddressOf('postgresql://me@db1,[::1]:6000,10.0.0.1:1/queue')).toMatchObject({
      hosts: [
        { host: 'db1', port: 5432 },
        { host: '::1', port: 6000 },
        { host: '10.0.0.1', port: 1 },
      ],
      ...{ user: 'me', database: 'queue', tls: null, rootCertificate: null, certificate: null },
    });
    expect(databaseAddressOf('postgres://a%40b@h/d%2Fe')).toMatchObject({
      user: 'a@b',
      database: 'd/e',
    });
  });

  it('may name the directory of a socket, and how the connection is protected', () => {
    const url = 'postgresql://me@/queue?host=/run/postgresql&sslmode=verify-ca&sslrootcert=/ca.pem';
    expect(databaseAddressOf(url)).toMatchObject({
      hosts: [{ host: '/run/postgresql', port: 5432 }],
      ...{ tls: 'verify-ca', rootCertificate: '/ca.pem' },
    });
    expect(databaseAddressOf('postgresql://u@h/d?sslcert=c&sslkey=k')).toMatchObject({
      certificate: { certFile: 'c', keyFile: 'k' },
    });
  });

  it.each([
    ['postgresql://u:p@h/d', 'titanic.storePasswordFile'],
    ['postgresql://h/d', 'user is missing'],
    ['postgresql://u@h/', 'database is missing'],
    ['postgresql://u@h', 'not of the form'],
    ['postgresql://u:p/w@h/d', 'not of the form'],
    ['postgresql://u:p@w@h/d', 'not of the form'],
    ['postgresql://u@h:0/d', 'not a host: h:0'],
    ['postgresql://u@h:65536/d', 'not a host'],
    ['postgresql://u@,h/d', 'not a host'],
    ['postgresql://%@h/d', '%-escapes'],
    ['postgresql://u@h/d?sslmode=prefer', 'sslmode is one of'],
    ['postgresql://u@h/d?sslcert=c', 'belong together'],
    ['postgresql://u@h/d?password=p', 'unknown parameter password'],
    ['postgresql://u@h/d?host=/run', 'only for the directory'],
  ])('%s: %s', (url, why) => expect(databaseAddressOf(url)).toContain(why));

  it('is told from what is none', () => {
    expect(['sqlite', 'postgresql://', 'postgres://', 'http://x'].map(isPostgres)).toEqual([
      ...[false, true, true, false],
    ]);
    expect(shownHost({ host: '::1', port: 5 })).toBe('[::1]:5');
  });
});
