/**
 * Lines of a plain table: upper-case headings, columns two spaces apart, no frame, so that it reads well and cuts well.
 * Numbers are not aligned specially; pass them formatted.
 */
export function tableLines(headings: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [headings.map((heading) => heading.toUpperCase()), ...rows];
  const widths = headings.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** One line of a table whose rows are printed as they come, so that its column widths cannot follow from its contents. */
export function tableLine(widths: readonly number[], cells: readonly string[]): string {
  return cells
    .map((cell, column) => cell.padEnd(widths[column] ?? 0))
    .join('  ')
    .trimEnd();
}
