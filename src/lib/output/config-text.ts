import type { ConfigDifference } from '../boot-config/config-differences.js';
import type { ConfigOrigin } from '../boot-config/config-origins.js';
import { pathText } from '../boot-config/config-path.js';
import type { ConfiguredConfigFile } from '../boot-config/configure-config-file.js';
import { configChangeLines, differencesLines } from './boot-configuration-text.js';
import type { Json } from '../platform/json.js';
import { printable } from './format.js';
import { paintFor } from './paint.js';
import { tableLines } from './table.js';

/** What differs between two configurations: a line for each value that one of them has. */
export function configDifferenceLines(differences: readonly ConfigDifference[], hasColor: boolean): string[] {
  const paint = paintFor(hasColor);
  return differences.flatMap(({ key, before, after, isHidden }) => {
    // Two hidden values look equal.
    const isAmong = isHidden && JSON.stringify(before) === JSON.stringify(after);
    if (isAmong) return [printable(`~ ${key}: differs, but is not shown`)];
    return [
      ...(before === null ? [] : [paint.error(printable(`- ${key}: ${JSON.stringify(before)}`))]),
      ...(after === null ? [] : [paint.good(printable(`+ ${key}: ${JSON.stringify(after)}`))]),
    ];
  });
}

/** What became of a config.json file, or would. */
export function configuredFileLines(configured: ConfiguredConfigFile, hasColor: boolean): string[] {
  const { file, output, config, differences, isChanged, isWritten } = configured;
  if (differences !== undefined) return differencesLines(file, differences, hasColor);
  const end = isWritten ? `Wrote ${output}` : isChanged ? `Would write ${output}` : 'Nothing to change.';
  return [...configChangeLines(config), printable(end)];
}

/** A table of values and where they come from. */
export function configOriginLines(origins: readonly ConfigOrigin[]): string[] {
  const rows = origins.map(({ path, value, origin, otherwise }) => {
    return [pathText(path), origin, otherwise === undefined ? valueText(value) : `(${otherwise})`];
  });
  return tableLines(
    ['key', 'from', 'value'],
    rows.map((row) => row.map(printable)),
  );
}

function valueText(value: Json): string {
  return typeof value === 'string' && /^[\w.:/@+-]+$/.test(value) ? value : JSON.stringify(value);
}
