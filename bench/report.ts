// Tables as Markdown, for people and for docs/performance.md.
import { readFileSync, writeFileSync } from 'node:fs';

const printed: string[] = [];

/** Prints a line that belongs to the report. */
export function print(line: string): void {
  console.log(line);
  printed.push(line);
}

/** Puts everything that was printed into a document, in the place of what follows a heading there up to the next one. */
export function writeInto(file: string, heading: string): void {
  const [before = '', rest = ''] = readFileSync(file, 'utf8').split(`\n${heading}\n`);
  const next = rest.indexOf('\n## ');
  const after = next < 0 ? '' : `\n${rest.slice(next + 1)}`;
  writeFileSync(file, `${before}\n${heading}\n\n${printed.join('\n').trim()}\n${after}`);
}

/** Something that is to hold of what was measured: `reached` at most, or at least, `limit`. */
export interface Target {
  readonly what: string;
  readonly reached: number | undefined;
  readonly limit: number;
  readonly atLeast?: boolean;
  readonly unit?: string;
}

export function median(values: readonly number[]): number | undefined {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

export function printHeading(title: string): void {
  print(`\n### ${title}\n`);
}

/** Prints rows below their headings; what is not the first two columns is set flush right. */
export function printTable(headings: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`;
  print(line(headings));
  print(`|${widths.map((width, column) => `${'-'.repeat(width + 1)}${column < 2 ? '-' : ':'}`).join('|')}|`);
  for (const row of rows) print(line(row));
  print('');
}

/** A number for a table, or a dash where there is none. */
export function figure(value: number | undefined, digits = 0): string {
  return value === undefined || Number.isNaN(value) ? '-' : value.toFixed(digits);
}

/** Prints which targets were reached. */
export function printTargets(targets: readonly Target[]): void {
  printHeading('Targets');
  printTable(
    ['target', 'reached', 'value', 'limit'],
    targets.map(({ what, reached, limit, atLeast = false, unit = '' }) => {
      const isReached = reached !== undefined && (atLeast ? reached >= limit : reached <= limit);
      const digits = unit === 'MB' ? 0 : 2;
      return [
        what,
        isReached ? 'yes' : 'NO',
        `${figure(reached, digits)} ${unit}`.trim(),
        `${atLeast ? 'at least' : 'at most'} ${figure(limit, digits)} ${unit}`.trim(),
      ];
    }),
  );
}
