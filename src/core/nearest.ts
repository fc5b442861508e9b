/** More of a name than any known one has: the rest would only cost time. */
const LONGEST = 64;

/** The known names that take the fewest edits to get from `name`, at most three: what was probably meant. */
export function nearestNames(name: string, known: readonly string[]): string[] {
  // Spelling varies most in case and in what is between words.
  const plain = (text: string): string =>
    text
      .slice(0, LONGEST)
      .toLowerCase()
      .replace(/[^a-z0-9]/g, '');
  const distances = known.map((candidate) => editDistance(plain(name), plain(candidate)));
  const least = Math.min(...distances);
  return known.filter((_, i) => distances[i] === least).slice(0, 3);
}

/** Levenshtein's distance: insertions, deletions and replacements of single characters. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, j) => j);
  for (const [i, character] of [...from].entries()) {
    const next = [i + 1];
    for (let j = 0; j < to.length; j++) {
      const replace = (row[j] ?? 0) + (character === to[j] ? 0 : 1);
      next.push(Math.min(replace, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
