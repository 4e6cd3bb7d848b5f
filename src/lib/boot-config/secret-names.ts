/** What is shown in place of a secret. */
export const hidden = '(hidden)';

/** What names of secrets end in, as a regular expression: whatever is called a key, as hiding too much does no harm. */
export const secretNames = 'keys?|psks?|pass(?:words?|phrases?|wds?)?|secrets?|tokens?|credentials?';
const secretConfigKey = new RegExp(`(?:(?<!ssh_?|public_?)(?:${secretNames}))$`, 'i');
const secretConnectionKey = /psk|pass|wep-key|^pin$|secret|token|cak$/i;

/** Whether a key of config.json is called like a secret, and not like a key that is public. */
export function isSecretConfigKey(key: string): boolean {
  return secretConfigKey.test(key);
}

/** Whether what is called this is a secret in a profile. */
export function isSecretKey(key: string): boolean {
  return isSecretConfigKey(key) || key === 'pin';
}

/** Whether a key of a connection holds a secret, and not the path of a file with one. */
export function isSecretConnectionValue(section: string, key: string, value: string): boolean {
  if (key.endsWith('-flags')) return false;
  if (/secret/i.test(section) || secretConnectionKey.test(key)) return true;
  if (!/(^|-)key$/i.test(key)) return false;
  // Elsewhere this may be the path of a file; a WireGuard key in base64 may begin like one.
  return section.startsWith('wireguard') || !/^(\/|file:)/.test(value);
}
