import { HTTP_ERRORS } from '../../../../src/admin/http/errors.js';
import { page, rowsBelow, words } from '../../docs/page.js';

describe('docs/errors.md', () => {
  it('has exactly the HTTP codes, each with the status and text of the code', () => {
    const rows = rowsBelow(page('errors.md'), '## HTTP');
    const documented = rows.map(([code, status, when]) => [words(code)[0], [Number(status), when]]);
    expect(new Map(documented as [string, unknown][])).toEqual(
      new Map(Object.entries(HTTP_ERRORS)),
    );
  });
});
