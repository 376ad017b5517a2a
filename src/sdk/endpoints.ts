/** Which endpoints a client or worker connects to: its option `endpoints`, else `MAJORDOMO_URL`. */
import { shownUrl } from '../core/web-address.js';
import { sdkError, wrong } from './errors.js';

/** An endpoint, several separated by commas or spaces, or a list of them. */
export type Endpoints = string | readonly string[];

/** The environment variable that is read when `endpoints` is not given. */
const VARIABLE = 'MAJORDOMO_URL';
const ENDPOINTS_MAX = 64;
const ENDPOINT = /^(tcp:\/\/.+:\d{1,5}|(ipc|inproc):\/\/.+)$/;
/** What the variable may name besides, for the commands of operators. */
const HTTP_ADDRESS = /^(https?:\/\/|unix:)/;
const SEPARATORS = /[\s,]+/;

/**
 * @param option its name, for messages
 * @throws ERR_MDP_OPTION, ERR_MDP_ENDPOINT
 */
export function endpointList(given: unknown, option = 'endpoints'): readonly string[] {
  if (given === undefined) return fromEnvironment();
  if (typeof given === 'string') return checked(split(given), option, option);
  if (Array.isArray(given)) return checked(given, option, option);
  throw wrong(option, 'must be text or an array of strings, such as tcp://127.0.0.1:5555');
}

function fromEnvironment(): readonly string[] {
  const listed = split(process.env[VARIABLE] ?? '');
  const endpoints = listed.filter((each) => !HTTP_ADDRESS.test(each));
  if (endpoints.length > 0) return checked(endpoints, VARIABLE, 'endpoints');
  const [address] = listed;
  if (address !== undefined) {
    const endpoint = shownUrl(address);
    const text = `${VARIABLE}: ${endpoint} is for commands: a program needs the broker's endpoint, tcp://HOST:PORT`;
    throw sdkError('ERR_MDP_ENDPOINT', text, { details: { option: 'endpoints', endpoint } });
  }
  throw wrong('endpoints', `must be given, or ${VARIABLE} set, for example tcp://127.0.0.1:5555`);
}

function split(text: string): string[] {
  return text.split(SEPARATORS).filter((endpoint) => endpoint !== '');
}

/** @param place where the endpoints come from, for messages */
function checked(endpoints: readonly unknown[], place: string, option: string): readonly string[] {
  if (endpoints.length === 0 || endpoints.length > ENDPOINTS_MAX) {
    throw wrong(option, `must be 1 to ${ENDPOINTS_MAX}, not ${endpoints.length}`);
  }
  return endpoints.map((endpoint) => {
    if (typeof endpoint !== 'string') throw wrong(option, 'must be an array of strings');
    if (ENDPOINT.test(endpoint)) return endpoint;
    const shown = shownUrl(endpoint);
    const text = `${place}: not an endpoint: ${shown} (tcp://HOST:PORT, ipc://…)`;
    throw sdkError('ERR_MDP_ENDPOINT', text, { details: { option, endpoint: shown } });
  });
}
