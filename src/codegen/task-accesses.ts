/** What a task does to elements of a buffer. */
export type Access = 'reads' | 'writes';

const NOBODY = -1;
/** Several readers. */
const SEVERAL = -2;

/** Which tasks have read and written each element of a buffer, none of which may touch what another one writes. */
export class TaskAccesses {
  readonly #writers: Int32Array;
  readonly #readers: Int32Array;

  constructor(length: number) {
    this.#writers = new Int32Array(length).fill(NOBODY);
    this.#readers = new Int32Array(length).fill(NOBODY);
  }

  /** Notes an access; if it clashes with another task's, the element and what that has done: `task 3 has written`. */
  note(
    task: number,
    access: Access,
    start: number,
    count: number,
  ): { readonly element: number; readonly clash: string } | undefined {
    const isOther = (user: number): boolean => user !== NOBODY && user !== task;
    for (let element = start; element < start + count; element++) {
      const writer = this.#writers[element] ?? NOBODY;
      const reader = this.#readers[element] ?? NOBODY;
      if (isOther(writer)) return { element, clash: `task ${writer} has written` };
      if (access === 'reads') {
        this.#readers[element] = isOther(reader) ? SEVERAL : task;
      } else if (isOther(reader)) {
        return { element, clash: reader === SEVERAL ? 'several tasks have read' : `task ${reader} has read` };
      } else {
        this.#writers[element] = task;
      }
    }
    return undefined;
  }
}
