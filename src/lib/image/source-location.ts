import { Failure } from '../failure/failure.js';
import { shownUrl } from '../platform/http-failure.js';

/** The URL that a location is, or undefined for a path; a file of such a name is given as `./http:…`. */
export function httpUrl(location: string): URL | undefined {
  if (!/^https?:/i.test(location)) return undefined;
  if (URL.canParse(location)) return new URL(location);
  throw new Failure('usage', 'invalid-url', 'what begins like the address of a web server is not a URL', {
    hint: 'Give it as https://host/path',
  });
}

/** What a location is called where it is shown: a URL without its login and query, which may be secrets. */
export function shownLocation(location: string): string {
  const url = httpUrl(location);
  if (url !== undefined) return shownUrl(url);
  return location === '-' ? 'standard input' : location;
}
