/** How a task for an item ended. */
export type Outcome<T, R> = { readonly item: T } & (
  { readonly value: R; readonly error?: undefined } | { readonly value?: undefined; readonly error: Error }
);

/**
 * Runs `task` for each item and yields the outcomes in order. Up to `count` tasks are under way before anybody asks
 * for their outcomes; one that fails does not disturb the others.
 */
export async function* ahead<T, R>(
  items: Iterable<T>,
  count: number,
  task: (item: T) => Promise<R>,
): AsyncGenerator<Outcome<T, R>> {
  const settle = async (item: T): Promise<Outcome<T, R>> => {
    try {
      return { item, value: await task(item) };
    } catch (error) {
      return { item, error: error instanceof Error ? error : new Error(String(error)) };
    }
  };
  const underWay: Promise<Outcome<T, R>>[] = [];
  for (const item of items) {
    underWay.push(settle(item));
    const first = underWay.length > count ? underWay.shift() : undefined;
    if (first !== undefined) yield await first;
  }
  for (const outcome of underWay) yield await outcome;
}
