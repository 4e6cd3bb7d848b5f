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
  let all = content === '' ? [] : content.split(/\r?\n/);
  if (all.at(-1) === '') all = all.slice(0, -1);
  for (const line of lines) all = withLine(all, line.trimEnd());
  const text = all.map((line) => `${line}${end}`).join('');
  // Only the end of the last line may differ where nothing was to be set.
  return text === content + end ? content : text;
}

function withLine(all: readonly string[], line: string): string[] {
  const sections = sectionsOf(all);
  const isFor = (index: number) => sections[index] === 'all';
  if (
    all.some(
      (one, index) =>
        isFor(index) && one.trim() === line && (adding.has(nameOf(line)) || isLast(all, index, line, isFor)),
    )
  ) {
    return [...all];
  }
  const at = adding.has(nameOf(line))
    ? -1
    : all.findLastIndex((one, index) => isFor(index) && nameOf(one) === nameOf(line));
  if (at >= 0) return all.with(at, line);
  const isAtAll = all.length === 0 || sections.at(-1) === 'all';
  return [...all, ...(isAtAll ? [] : ['[all]']), line];
}

/** Of a setting that counts once, the last line is the one that counts. */
function isLast(all: readonly string[], index: number, line: string, isFor: (index: number) => boolean): boolean {
  return !all.some((one, later) => later > index && isFor(later) && nameOf(one) === nameOf(line));
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
