/** The known name that a mistyped one most likely stands for, or undefined when none is near. */
export function nearestName(typed: string, known: Iterable<string>): string | undefined {
  const [best] = [...known]
    .map((name) => ({ name, distance: editDistance(typed.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const tolerance = Math.min(3, Math.floor(typed.length / 2));
  return best !== undefined && best.distance <= tolerance ? best.name : undefined;
}

/** Levenshtein distance: single-letter insertions, deletions and replacements that lead from one word to the other. */
export function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (const [row, letter] of Array.from(from).entries()) {
    const current = [row + 1];
    for (const [column, other] of Array.from(to).entries()) {
      current.push(
        Math.min(
          (current[column] ?? 0) + 1,
          (previous[column + 1] ?? 0) + 1,
          (previous[column] ?? 0) + (letter === other ? 0 : 1),
        ),
      );
    }
    previous = current;
  }
  return previous[to.length] ?? 0;
}
