import { Failure } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';

/** A URL as it may be shown: without user, password and query, any of which may be a secret. */
export function shownUrl(url: URL): string {
  return `${url.origin}${url.pathname}${url.search === '' ? '' : '?…'}`;
}

const untrusted = /^(CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|INVALID_CA|ERR_TLS_CERT_)/;

/** The failure for an error of a connection, TLS or HTTP itself; what is none of these is returned as it is. */
export function connectionFailure(url: URL, error: Error): Error {
  const code = systemErrorCode(error);
  if (code === undefined || error instanceof Failure) return error;
  const doing = `reading ${shownUrl(url)}`;
  // A socket that the other side hung up says so in two ways.
  if (code === 'ECONNRESET' || code === 'EPIPE') return connectionCut(url);
  if (untrusted.test(code)) {
    return new Failure(
      'unreachable',
      'certificate-untrusted',
      `${doing}: its certificate is not trusted: ${error.message}`,
      {
        hint: 'If your network has a certificate authority of its own, name its file in NODE_EXTRA_CA_CERTS; otherwise check the clock and the address',
        cause: error,
      },
    );
  }
  // HPE_ comes from the parser of HTTP, the others from TLS that met something else.
  if (/^(HPE_|EPROTO|ERR_SSL_)/.test(code)) {
    return new Failure(
      'unreachable',
      'not-http',
      `${doing}: what answers there is not a web server for ${url.protocol}//`,
      {
        hint: 'Check the address and its port',
        cause: error,
      },
    );
  }
  const failure = whileDoing(doing, error);
  return failure instanceof Error ? failure : error;
}

/** The failure for a connection that ends before all has been said. */
export function connectionCut(url: URL): Failure {
  return new Failure('unreachable', 'connection-cut', `reading ${shownUrl(url)}: the connection was cut`);
}

/** The failure for an answer that is not the file that was asked for. */
export function statusFailure(url: URL, status: number): Failure {
  const doing = `reading ${shownUrl(url)}`;
  if (status === 401) {
    return new Failure('permission', 'url-denied', `${doing}: the server wants a login (HTTP 401)`, {
      hint: 'Put user and password into the URL: https://user:password@host/path',
    });
  }
  if (status === 403) {
    return new Failure('permission', 'url-denied', `${doing}: the server denies access (HTTP 403)`, {
      hint: 'A signed address may have expired; get it again',
    });
  }
  if (status === 407) {
    return new Failure('permission', 'proxy-denied', `${doing}: the proxy wants a login (HTTP 407)`, {
      hint: 'Put user and password into the proxy that the environment names: http://user:password@host:port',
    });
  }
  if (status === 404 || status === 410) {
    return new Failure('not-found', 'url-not-found', `${doing}: the server has no such file (HTTP ${status})`, {
      hint: 'Check the address',
    });
  }
  if (status === 429 || status >= 500) {
    return new Failure('unreachable', 'server-busy', `${doing}: the server cannot serve it now (HTTP ${status})`, {
      hint: 'Try again later',
    });
  }
  return new Failure('failed', 'http-answer', `${doing}: the server does not serve it (HTTP ${status})`, {
    hint: 'Check the address',
  });
}
