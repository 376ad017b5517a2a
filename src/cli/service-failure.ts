/**
 * How `majordomo request` reports a failed service: its message on standard error, the rest as
 * JSON.
 */
import { MajordomoError } from '../core/errors.js';
import { escapeName } from '../core/escape.js';
import { failureWords } from '../core/failure-words.js';
import { frameJson } from '../core/frame-json.js';
import { isServiceError } from '../sdk/service-error.js';
import type { OutputFormat } from './options.js';
import { terminalSafe, printable, printJson } from './output.js';

export interface FailureOutput {
  readonly output: OutputFormat | 'raw';
  /** Print the detail of the failure. */
  readonly detail?: boolean;
}

/**
 * Prints the detail of a failure.
 * @param facts to put into the JSON
 * @returns ERR_SERVICE_FAILED with the message; any other error unchanged
 */
export async function explainedFailure(
  error: unknown,
  { output, detail: isDetailWanted }: FailureOutput,
  facts: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  if (!isServiceError(error)) return error;
  const { serviceCode: code, message, detail } = error;
  // A failure without a text has its code as message.
  const text = message === code ? '' : message;
  if (output === 'json') {
    await printJson({ ...facts, failed: true, code, text, detail: detail.map(frameJson) });
  }
  const who = error.service === '' ? 'the stored request' : escapeName(Buffer.from(error.service));
  const lines = [printable(`${who} failed: ${failureWords({ code, text })}`)];
  if (isDetailWanted === true && output !== 'json') {
    lines.push(...detail.map((frame) => terminalSafe(frame.toString('utf8')).trimEnd()));
  }
  return new MajordomoError('ERR_SERVICE_FAILED', lines.join('\n'), { cause: error });
}
