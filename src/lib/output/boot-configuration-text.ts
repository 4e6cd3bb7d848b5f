import type { BootConfigurationSummary } from '../boot-config/boot-configuration-plan.js';
import type { ConfiguredImage } from '../boot-config/configure-image.js';
import type { ShownConfigChange } from '../boot-config/changed-config.js';
import type { FileDifference } from '../boot-config/file-difference.js';
import { formatBytes, printable } from './format.js';
import { type Paint, paintFor } from './paint.js';
import type { Json } from '../platform/json.js';

const verbs = { create: 'new', replace: 'changed', keep: 'as it was', remove: 'removed' } as const;

/** What became of an image, or would, for people. */
export function configuredImageLines(configured: ConfiguredImage, hasColor: boolean): string[] {
  const { image, output, differences, isChanged, isWritten } = configured;
  if (differences !== undefined) return differencesLines(image, differences, hasColor);
  const lines = bootConfigurationLines(configured);
  if (isWritten) return [...lines, `Wrote ${printable(output)}: ${osText(configured)}`];
  return [...lines, isChanged ? `Would write ${printable(output)}: ${osText(configured)}` : 'Nothing to change.'];
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

/** A planned or written configuration for people: what changes in config.json, and which files. */
export function bootConfigurationLines(summary: BootConfigurationSummary): string[] {
  const files = summary.files.map(({ path, action, size }) => `  ${path} (${formatBytes(size)}, ${verbs[action]})`);
  const lines = [...configChangeLines(summary.config), ...(files.length === 0 ? [] : ['files:', ...files])];
  return lines.map(printable);
}

/** The keys of config.json that change. */
export function configChangeLines(changes: readonly ShownConfigChange[]): string[] {
  const value = (json: Json) => (json === null ? 'not set' : JSON.stringify(json));
  const keys = changes.map(({ key, before, after }) => `  ${key}: ${value(before)} -> ${value(after)}`);
  return (keys.length === 0 ? ['config.json stays as it is'] : ['config.json:', ...keys]).map(printable);
}

/** The OS in a few words: `balenaOS 6.8.1 for Raspberry Pi 4 (raspberrypi4-64)`. */
export function osText({ os }: Pick<BootConfigurationSummary, 'os'>): string {
  const name = [os.osName ?? 'an OS', os.osVersion].filter(Boolean).join(' ');
  const board = os.deviceType === undefined ? '' : ` for ${os.deviceType.name} (${os.deviceType.slug})`;
  return printable(name + board);
}
