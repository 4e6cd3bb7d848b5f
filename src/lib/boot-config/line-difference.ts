/** One line of a difference: in both texts, only before, or only after; the indexes count from 0. */
export type DifferingLine =
  | { readonly sign: ' '; readonly before: number; readonly after: number }
  | { readonly sign: '-'; readonly before: number }
  | { readonly sign: '+'; readonly after: number };

/** Above this many pairs of lines no shortest difference is looked for: everything between what is alike at both ends differs then. */
const mostPairs = 4_000_000;

/** How two texts differ line by line, by their longest common sequence of lines. */
export function lineDifference(before: readonly string[], after: readonly string[]): DifferingLine[] {
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  while (head < shorter && before[head] === after[head]) head += 1;
  let tail = 0;
  while (tail < shorter - head && before.at(-1 - tail) === after.at(-1 - tail)) tail += 1;
  const same = (from: number, shift: number, count: number): DifferingLine[] =>
    Array.from({ length: count }, (_, index) => ({ sign: ' ', before: from + index, after: from + index + shift }));
  const middle = middleDifference(before.slice(head, before.length - tail), after.slice(head, after.length - tail));
  return [
    ...same(0, 0, head),
    ...middle.map((line) => shifted(line, head)),
    ...same(before.length - tail, after.length - before.length, tail),
  ];
}

function middleDifference(before: readonly string[], after: readonly string[]): DifferingLine[] {
  const removed = (from: number, to = before.length) =>
    Array.from({ length: to - from }, (_, index) => ({ sign: '-' as const, before: from + index }));
  const added = (from: number, to = after.length) =>
    Array.from({ length: to - from }, (_, index) => ({ sign: '+' as const, after: from + index }));
  if (before.length * after.length > mostPairs) return [...removed(0), ...added(0)];
  const width = after.length + 1;
  // The length of the longest common sequence of what is left of both texts from each pair of lines on.
  const common = new Uint32Array((before.length + 1) * width);
  const at = (i: number, j: number) => common[i * width + j] ?? 0;
  for (let i = before.length - 1; i >= 0; i -= 1) {
    for (let j = after.length - 1; j >= 0; j -= 1) {
      common[i * width + j] = before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const lines: DifferingLine[] = [];
  let [i, j] = [0, 0];
  while (i < before.length && j < after.length) {
    if (before[i] === after[j]) lines.push({ sign: ' ', before: i++, after: j++ });
    else if (at(i + 1, j) >= at(i, j + 1)) lines.push({ sign: '-', before: i++ });
    else lines.push({ sign: '+', after: j++ });
  }
  return [...lines, ...removed(i), ...added(j)];
}

function shifted(line: DifferingLine, by: number): DifferingLine {
  if (line.sign === '-') return { sign: '-', before: line.before + by };
  if (line.sign === '+') return { sign: '+', after: line.after + by };
  return { sign: ' ', before: line.before + by, after: line.after + by };
}
