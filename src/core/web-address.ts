const CHARACTERS_MAX = 1024;
/** What is not ASCII takes more of them when it is written for a URL. */
const WRITTEN_MAX = 4 * CHARACTERS_MAX;

/**
 * An address to which a page may link, whoever chose the text: of http or https, without a name and
 * password, a query or a fragment.
 * @returns the address as URLs are written, in printable ASCII without quotes and angle brackets;
 *   `null` if the text is none
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
