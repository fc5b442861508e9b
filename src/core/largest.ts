/** The largest of many values, -Infinity for none: `Math.max(...values)` overflows the stack at about 100,000. */
export function largest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), -Infinity);
}
