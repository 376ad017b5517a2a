/** Tables of stored requests. */
import type { StoredRequest } from '../admin/api/stored-answers.js';
import { type Column, DataTable } from './data-table.js';
import { askToken, attempt } from './dialogs.js';
import { attribute, button, el, text } from './dom.js';
import { about, bytes, line, moment, since } from './format.js';
import { serviceLink, statePill } from './status-line.js';
import { linkTo } from './view.js';

export const UUID = /^[\da-f]{32}$/i;

/** A request in the list. Without a token, two may show the same half of their uuids. */
export interface Row extends StoredRequest {
  readonly key: string;
}

export function rowOf(request: StoredRequest, index: number): Row {
  const { uuid } = request;
  return { ...request, key: UUID.test(uuid) ? uuid : `${uuid} ${index}` };
}

export const SERVICE: Column<Row> = {
  head: 'Service',
  make: ({ service }) => serviceLink(service),
};

export const STATE: Column<Row> = {
  head: 'State',
  show: ({ state }, cell) => {
    if (cell.textContent !== state) cell.replaceChildren(statePill(state));
  },
};

const REASON: Column<Row> = {
  head: 'Reason',
  make: () => el('span', { class: 'reason' }),
  show: ({ reason }, cell) => {
    const [shown] = cell.children;
    if (shown !== undefined) text(shown, line(reason ?? ''));
  },
  isMinor: true,
};

const ATTEMPTS: Column<Row> = {
  head: 'Failed attempts',
  show: ({ attempts, maxAttempts }, cell) => text(cell, `${attempts} of ${maxAttempts}`),
  isNumber: true,
  isMinor: true,
};

const AGE: Column<Row> = {
  head: 'Age',
  show: ({ acceptedAt }, cell) => {
    text(cell, about(since(acceptedAt)));
    attribute(cell, 'title', moment(acceptedAt));
  },
  isNumber: true,
};

const BODY: Column<Row> = {
  head: 'Body',
  show: ({ bodyBytes }, cell) => text(cell, bytes(bodyBytes)),
  isNumber: true,
  isMinor: true,
};

interface RequestTable {
  readonly label: string;
  /** The columns after the uuid. */
  readonly columns: readonly Column<Row>[];
  /** Called when the token was entered, to load whole uuids. */
  readonly reload: () => Promise<void>;
  readonly whenEmpty: HTMLElement;
}

export function requestTable({ label, columns, reload, whenEmpty }: RequestTable): DataTable<Row> {
  const unlock = (): void => {
    attempt(async () => {
      if (await askToken('Full UUIDs and request histories need a token of this node.')) {
        await reload();
      }
    });
  };
  const id: Column<Row> = {
    head: 'UUID',
    make: ({ uuid }) => (UUID.test(uuid) ? uuidLink(uuid) : uuidLocked(uuid, unlock)),
  };
  return new DataTable<Row>({
    label,
    columns: [id, ...columns, REASON, ATTEMPTS, AGE, BODY],
    key: ({ key }) => key,
    sortedBy: null,
    pageRows: null,
    whenEmpty,
  });
}

function uuidLink(uuid: string): HTMLElement {
  return el(
    'a',
    { href: linkTo('durable', uuid), class: 'uuid', title: uuid },
    // A uuid begins with the time, so its end is what differs.
    el('span', { class: 'rest' }, uuid.slice(0, -8)),
    uuid.slice(-8),
  );
}

/** A whole uuid is the credential for the reply, so the history needs the token. */
function uuidLocked(uuid: string, unlock: () => void): HTMLElement {
  const made = button('', 'uuid', unlock);
  made.title = 'The history of this request needs a token of this node';
  made.replaceChildren(el('span', { class: 'rest' }, uuid.slice(0, -9)), uuid.slice(-9));
  return made;
}
