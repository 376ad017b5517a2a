const CHARACTERS_MAX = 1024;
/** Characters outside ASCII become longer in a URL. */
const WRITTEN_MAX = 4 * CHARACTERS_MAX;

/**
 * An address that a page may link to, even if a peer chose the text: http or https, without user
 * name, password, query or fragment.
 * @returns the normalized URL, in printable ASCII without quotes and angle brackets; `null` if the
 *   text is not such an address
 */
export function webAddress(text: string): string | null {
  if (text.length > CHARACTERS_MAX || !URL.canParse(text)) return null;
  const { protocol, username, password, search, hash, href } = new URL(text);
  if (protocol !== 'http:' && protocol !== 'https:') return null;
  if (username !== '' || password !== '' || search !== '' || hash !== '') return null;
  return href.length <= WRITTEN_MAX && /^[\x21-\x7e]+$/.test(href) && !/["'<>`\\]/.test(href)
    ? href
    : null;
}

/** What stands before the host. (Names of sockets may contain `@`: of `ipc://@name`, `unix:/run/a@b`.) */
const LOGIN = /^(?!ipc:\/\/|unix:[/@.])([a-z][a-z\d+.-]*:\/\/)?.*@/is;
const QUERY = /^(?!ipc:\/\/|unix:[/@.])([^?#]*)[?#].+$/is;

/** Whether a text that is a URL, or was meant to be one, has a user or a password. */
export function hasLogin(text: string): boolean {
  return LOGIN.test(text);
}

/**
 * A text that is a URL, or was meant to be one, for people: others may see the terminal or the log, so
 * what may be a password in it is left out.
 */
export function shownUrl(text: string): string {
  return text.replace(LOGIN, '$1…@').replace(QUERY, '$1?…');
}
