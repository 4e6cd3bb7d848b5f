import type { BootConfigurationSummary } from '../boot-config/boot-configuration-plan.js';
import type { ConfiguredImage } from '../boot-config/configure-image.js';
import type { ShownConfigChange } from '../boot-config/changed-config.js';
import type { FileDifference } from '../boot-config/file-difference.js';
import { hidden } from '../boot-config/secret-names.js';
import { findingLines } from './flash-text.js';
import { formatBytes, printable } from './format.js';
import { type Paint, paintFor } from './paint.js';
import type { Json } from '../platform/json.js';

const verbs = { create: 'new', replace: 'changed', keep: 'as it was', remove: 'removed' } as const;

/**
 * What became of an image, or would, for people.
 *
 * @param isShown whether what changes in it has been shown already
 */
export function configuredImageLines(configured: ConfiguredImage, hasColor: boolean, isShown = false): string[] {
  const { image, output, differences, isChanged, isWritten } = configured;
  if (differences !== undefined) return differencesLines(image, differences, hasColor);
  const lines = isShown ? [] : bootConfigurationLines(configured);
  if (!isChanged) lines.push(`Nothing had to be changed: ${printable(image)} is as it was asked for.`);
  const written = `${printable(output)} (${shortOsText(configured)})`;
  if (isWritten) return [...lines, ...checkedLines(configured), `Wrote ${written}`];
  return isChanged ? [...lines, `Would write ${written}`] : lines;
}

function checkedLines({ image, findings }: ConfiguredImage): string[] {
  return findings === undefined ? [] : findingLines({ name: image, ...findings });
}

const differenceVerbs = { create: 'new', replace: 'changed', remove: 'removed' } as const;

/** What would change in files, or that nothing would. */
export function differencesLines(name: string, differences: readonly FileDifference[], hasColor: boolean): string[] {
  const paint = paintFor(hasColor);
  if (differences.length === 0) return [`Nothing would change in ${printable(name)}.`];
  return differences.flatMap((one) => differenceLines(one, paint));
}

function differenceLines({ path, action, lines }: FileDifference, paint: Paint): string[] {
  const painters: Readonly<Record<string, (text: string) => string>> = { '+': paint.good, '-': paint.error };
  return [
    paint.heading(`${printable(path)} (${differenceVerbs[action]})`),
    ...lines.map((line) => (line === ' ' ? '' : `  ${(painters[line[0] ?? ''] ?? String)(printable(line))}`)),
  ];
}

/** A planned or written configuration for people: what changes in config.json, and which files. Empty where nothing does. */
export function bootConfigurationLines(summary: BootConfigurationSummary): string[] {
  const files = summary.files
    .filter(({ action }) => action !== 'keep')
    .map(({ path, action, size }) => `  ${path} (${formatBytes(size)}, ${verbs[action]})`);
  return [...configChangeLines(summary.config), ...(files.length === 0 ? [] : ['Files:', ...files])].map(printable);
}

/** The keys of config.json that change; empty where none does. */
export function configChangeLines(changes: readonly ShownConfigChange[]): string[] {
  const keys = changes.map(({ key, before, after }) => `  ${key}: ${valueText(before)} -> ${valueText(after)}`);
  return (keys.length === 0 ? [] : ['config.json:', ...keys]).map(printable);
}

function valueText(value: Json): string {
  if (value === null) return 'not set';
  if (value === hidden) return hidden;
  return JSON.stringify(value, (_, one: unknown) => (typeof one === 'string' ? shortened(one) : one));
}

/** Long texts, such as keys, by their beginning and their end, which has the name of a key. */
function shortened(text: string): string {
  return text.length <= 48 ? text : `${text.slice(0, 24)}…${text.slice(-20)}`;
}

/** The OS in a few words: `balenaOS 6.8.1 for Raspberry Pi 4 (raspberrypi4-64)`. */
export function osText({ os }: Pick<BootConfigurationSummary, 'os'>): string {
  const name = [os.osName ?? 'an OS', os.osVersion].filter(Boolean).join(' ');
  const board = os.deviceType === undefined ? '' : ` for ${os.deviceType.name} (${os.deviceType.slug})`;
  return printable(name + board);
}

/** `balenaOS 6.8.1, raspberrypi4-64` */
function shortOsText({ os }: Pick<BootConfigurationSummary, 'os'>): string {
  const name = [os.osName ?? 'an OS', os.osVersion].filter(Boolean).join(' ');
  return printable([name, os.deviceType?.slug].filter(Boolean).join(', '));
}
