/** The lines of the events of programs in the log. */
import { lineOfKind, type LinesOf } from '../../admin/log/log-line.js';

export interface ProgramsEvent {
  readonly name: 'webhooks.refused';
  /** Why the file of secrets cannot be used. */
  readonly text: string;
}

export const PROGRAMS_LINES: LinesOf<ProgramsEvent> = {
  'webhooks.refused': ({ name, text }) =>
    lineOfKind('error', name, `http.webhookHosts and its secrets stay as they are: ${text}`),
};
