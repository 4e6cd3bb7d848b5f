/** Where the public keys of a user are published: `github:alice`. */
export interface KeySource {
  readonly service: 'github' | 'gitlab';
  readonly user: string;
}

/** The place that a word like `github:alice` names, or undefined for any other word. */
export function keySourceIn(word: string): KeySource | undefined {
  const [, service, user = ''] =
    /^(github|gitlab):([A-Za-z0-9](?:[A-Za-z0-9_.-]{0,253}[A-Za-z0-9])?)$/.exec(word) ?? [];
  return service === 'github' || service === 'gitlab' ? { service, user } : undefined;
}
