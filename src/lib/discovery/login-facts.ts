import { factText, factUuid, type PartialFacts } from './device-facts.js';

/**
 * What is run on a device for its facts: prints `name=value` lines. It needs no more than a shell and sed, and of config.json, which
 * holds keys, only two values leave the device.
 */
export const factsScript = [
  `sed -n 's/.*"uuid"[[:space:]]*:[[:space:]]*"\\([0-9a-f]*\\)".*/uuid=\\1/p' /mnt/boot/config.json`,
  `sed -n 's/.*"developmentMode"[[:space:]]*:[[:space:]]*"\\{0,1\\}\\(true\\|false\\).*/development=\\1/p' /mnt/boot/config.json`,
  `sed -n 's/^\\(PRETTY_NAME\\|VARIANT_ID\\|SLUG\\)="\\{0,1\\}\\([^"]*\\)"\\{0,1\\}$/\\1=\\2/p' /etc/os-release`,
  `sed -n 's/.*"slug"[[:space:]]*:[[:space:]]*"\\([^"]*\\)".*/SLUG=\\1/p' /mnt/boot/device-type.json`,
  `sed -n 's/^SUPERVISOR_VERSION=\\(.*\\)/supervisor=\\1/p' /etc/balena-supervisor/supervisor.conf`,
  'echo "machine=$(uname -m)"',
  'test -e /mnt/boot/balena-image-flasher && echo flasher=yes',
  'echo "engine=$(balena-engine --version || docker --version)"',
  // A file need not end with a line end, and sed then does not either.
].join('; echo; ');

/** The values of each name in `name=value` lines that a device has printed, fit for a terminal, in the order in which they came. */
export function factLines(output: string): (name: string) => readonly string[] {
  const values = new Map<string, string[]>();
  for (const line of output.slice(0, 50_000).split('\n')) {
    const at = line.indexOf('=');
    const name = line.slice(0, at);
    const value = factText(line.slice(at + 1));
    if (at > 0 && value !== null) values.set(name, [...(values.get(name) ?? []), value]);
  }
  return (name) => values.get(name) ?? [];
}

/** The facts in what the script printed. */
export function parseLoginFacts(output: string): PartialFacts {
  const lines = factLines(output);
  const get = (name: string) => lines(name)[0] ?? null;
  const development = get('development');
  return {
    uuid: factUuid(get('uuid')),
    ...(development === null ? {} : { mode: development === 'true' ? 'development' : 'production' }),
    os: get('PRETTY_NAME'),
    osVariant: get('VARIANT_ID'),
    deviceType: get('SLUG'),
    architecture: get('machine'),
    engineVersion: /version v?(\d[\w.+-]*)/.exec(get('engine') ?? '')?.[1] ?? null,
    supervisorVersion: /^v?(\d[\w.+-]*)$/.exec(get('supervisor') ?? '')?.[1] ?? null,
    ...(get('flasher') === 'yes' ? { isFlasher: true } : {}),
  };
}
