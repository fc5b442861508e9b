/** Names, with a number behind those that are wanted again. */
export class UniqueNames {
  readonly #taken: Set<string>;
  readonly #next = new Map<string, number>();

  constructor(taken: Iterable<string> = []) {
    this.#taken = new Set(taken);
  }

  take(wanted: string): string {
    let name = wanted;
    let next = this.#next.get(wanted) ?? 2;
    while (this.#taken.has(name)) name = `${wanted}_${next++}`;
    this.#next.set(wanted, next);
    this.#taken.add(name);
    return name;
  }
}
