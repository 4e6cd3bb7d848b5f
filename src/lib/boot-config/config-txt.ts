import { text } from './shape.js';

/** One setting of a Raspberry Pi's config.txt: `gpu_mem=64`, `dtoverlay=vc4-kms-v3d`, `initramfs initrd.img followkernel`. */
export const configTxtLineShape = text(
  'a line such as gpu_mem=64, without comment',
  /^[A-Za-z][A-Za-z0-9_]*(=[^\r\n#]*| [^\r\n#]+)$/,
);

/** Settings that may stand several times, each adding to the others (https://www.raspberrypi.com/documentation/computers/config_txt.html). */
const adding: ReadonlySet<string> = new Set([
  'dtoverlay',
  'dtparam',
  'gpio',
  'include',
  'initramfs',
  'device_tree_param',
]);

/**
 * Sets lines of a config.txt for all models: a setting that counts once is replaced where it stands, one that adds to others is added
 * unless it is there already, and everything else stays as it is, to the byte. Setting the same lines again changes nothing.
 */
export function setConfigTxt(content: string, lines: readonly string[]): string {
  const end = content.includes('\r\n') ? '\r\n' : '\n';
  // Each line keeps its own end.
  let all: readonly string[] = content.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  for (const line of lines) all = withLine(all, line.trimEnd(), end);
  return all.join('');
}

function withLine(all: readonly string[], line: string, end: string): readonly string[] {
  const sections = sectionsOf(all);
  const name = nameOf(line);
  const isSet = adding.has(name)
    ? (one: string) => one.trim() === line
    : // Of a setting that counts once, the last line is the one that counts.
      (one: string) => nameOf(one) === name;
  const at = all.findLastIndex((one, index) => sections[index] === 'all' && isSet(one));
  const there = all[at];
  if (there?.trim() === line) return all;
  if (there !== undefined) return all.with(at, line + (/\r?\n$/.exec(there)?.[0] ?? ''));
  const isAtAll = all.length === 0 || sections.at(-1) === 'all';
  const last = all.at(-1) ?? '\n';
  const closed = last.endsWith('\n') ? all : all.with(-1, last + end);
  return [...closed, ...(isAtAll ? [] : [`[all]${end}`]), line + end];
}

/** The filter that each line stands under; a filter line belongs to its own section. */
function sectionsOf(all: readonly string[]): string[] {
  let section = 'all';
  return all.map((line) => {
    section = /^\s*\[([^\]]*)\]/.exec(line)?.[1]?.trim().toLowerCase() ?? section;
    return section;
  });
}

function nameOf(line: string): string {
  return /^\s*([A-Za-z][A-Za-z0-9_]*)(?=[=\s])/.exec(line)?.[1] ?? '';
}
