import { Failure } from '../failure/failure.js';

/** The URL that a location is, or undefined for a path; a file of such a name is given as `./http:…`. */
export function httpUrl(location: string): URL | undefined {
  if (!/^https?:/i.test(location)) return undefined;
  if (URL.canParse(location)) return new URL(location);
  throw new Failure('usage', 'invalid-url', 'what begins like the address of a web server is not a URL', {
    hint: 'Give it as https://host/path',
  });
}
