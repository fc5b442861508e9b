/** The same thing, which `await using` closes; what is made of its members closes itself. */
export function closable<T extends { close(): Promise<void> }>(thing: T): T & AsyncDisposable {
  return Object.assign(thing, {
    [Symbol.asyncDispose](this: T): Promise<void> {
      return this.close();
    },
  });
}
