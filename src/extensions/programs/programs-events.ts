/** The events of programs over HTTP: see core/event-table.ts. */
import { text } from '../../core/event-fields.js';
import { error, type EventOf } from '../../core/event-table.js';

export const PROGRAMS_EVENTS = {
  'webhooks.refused': error(
    'http.webhookHosts and its secrets stay as they are: {text}',
    { text },
    'after SIGHUP: `http.webhookSecretFile` cannot be used; hosts and secrets of webhooks stay as they were',
  ),
};

export type ProgramsEvent = EventOf<typeof PROGRAMS_EVENTS>;
