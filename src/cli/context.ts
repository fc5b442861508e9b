/** What a command gets from the program around it. */
export interface CommandContext {
  /** Fires on Ctrl-C and whatever else is to end the work. */
  readonly signal: AbortSignal;
  /** Writes a result, and a line break, to standard output. */
  readonly print: (text: string) => void;
  /** Writes a piece of a result that may be too long for one text. */
  readonly write: (piece: string) => void;
  /** Writes a remark, and a line break, to standard error. */
  readonly warn: (text: string) => void;
  /** Makes the exit code 1 although the command goes on, e.g. after one of several files failed. */
  readonly fail: () => void;
}
