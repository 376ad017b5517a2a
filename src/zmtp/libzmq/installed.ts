/** Whether the package zeromq is installed: programs that use the SDK install it themselves. */
import { MajordomoError, messageOf } from '../../core/errors.js';
import { isMissing, loadInstalled } from '../installed.js';

/**
 * Loads libzmq's native module, so that a program without it fails where it chose the transport.
 * @throws ERR_MDP_OPTION, with what to install
 */
export function checkZeromq(): void {
  try {
    loadInstalled('zeromq');
  } catch (cause) {
    const text = isMissing(cause)
      ? "transport 'libzmq' needs the package zeromq, which is not installed: npm install zeromq"
      : `transport 'libzmq' cannot load the package zeromq: ${messageOf(cause)}`;
    throw new MajordomoError('ERR_MDP_OPTION', text, { cause, details: { option: 'transport' } });
  }
}
