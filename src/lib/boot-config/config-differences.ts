import { shownChange, type ShownConfigChange } from './changed-config.js';
import { type ConfigChange, configChanges } from './config-json.js';
import { type ExistingConfig, readExistingConfig } from './existing-config.js';
import type { ConfigSource } from './read-config-source.js';

/** One key that two configurations have differently; null is a key that is not there. */
export interface ConfigDifference extends ShownConfigChange {
  /** Whether the values are hidden, so that they may look equal. */
  readonly isHidden: boolean;
}

/** What differs between the config.json of two sources, in the order of its keys, with secrets hidden. Fails with `invalid-json`. */
export function configDifferences(before: ConfigSource, after: ConfigSource): ConfigDifference[] {
  return configChanges(configOf(before).config, configOf(after).config).map(shownDifference);
}

/** A change as it may be shown, with what it hides told. */
export function shownDifference(change: ConfigChange): ConfigDifference {
  const { key, before, after } = shownChange(change);
  const own = [change.before ?? null, change.after ?? null];
  return { key, before, after, isHidden: JSON.stringify([before, after]) !== JSON.stringify(own) };
}

/** The config.json of a source, parsed; one that is not there is empty. Fails with `invalid-json`. */
export function configOf({ name, kind, bytes }: ConfigSource): ExistingConfig {
  const what = kind === 'file' ? name : `config.json in ${name}`;
  return readExistingConfig(bytes, { what, os: {}, replacesBroken: false });
}
