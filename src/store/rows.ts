/** Stored requests as rows of SQL, of both engines. */
import {
  type FieldSource,
  putRequest,
  REQUEST_ROWS,
  type RequestField,
  type StoredRequest,
} from './request.js';

/**
 * Columns of a request, in the order of `requestFrom`.
 * @param each a column in SQL
 */
export function requestColumns(
  each: (column: string, field: RequestField) => string,
  rows: readonly RequestField[] = REQUEST_ROWS,
): string {
  return rows
    .map((field) => {
      const column = each(field.column, field);
      return field.kind === 'state' ? `${column} - 1` : column;
    })
    .join(', ');
}

export type Cell = number | boolean | string | Buffer | readonly number[] | null;

/** Reads a row, column after column. Bytes may be hexadecimal digits; text may be bytes. */
export class RowReader implements FieldSource {
  readonly #row: readonly Cell[];
  #at: number;
  readonly #numbers: readonly number[] | null;
  #number = 0;

  /**
   * @param at the first column
   * @param numbers its numbers, if they are an array of their own
   */
  constructor(row: readonly Cell[], at = 0, numbers: readonly number[] | null = null) {
    this.#row = row;
    this.#at = at;
    this.#numbers = numbers;
  }

  number(): number {
    if (this.#numbers !== null) return this.#numbers[this.#number++] ?? 0;
    return Number(this.#row[this.#at++]);
  }

  text(): string {
    return String(this.#row[this.#at++]);
  }

  bytes(): Buffer {
    return this.maybe() ?? Buffer.alloc(0);
  }

  maybe(): Buffer | null {
    const cell = this.#row[this.#at++];
    return typeof cell === 'string' ? Buffer.from(cell, 'hex') : (cell as Buffer | null);
  }
}

/** The cells of a request, in the order of `requestColumns`; its state as in `STATES`. */
export function cellsOf(request: StoredRequest): (number | string | Buffer | null)[] {
  const cells: (number | string | Buffer)[] = [];
  const put = (value: number | string | Buffer): void => void cells.push(value);
  putRequest({ number: put, bytes: put, text: put }, request);
  return cells;
}
