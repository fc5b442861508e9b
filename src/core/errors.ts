/** What kind of thing went wrong; stable, so that programs may branch on it. */
export type ErrorCode =
  /** An argument, option, shape or file content that the caller must change. */
  | 'invalid-argument'
  /** A valid request that this device or version cannot serve. */
  | 'unsupported'
  /** The system compiler or the engine's WebAssembly compiler refused generated code. */
  | 'compile-failed'
  /** More memory was wanted than the device can hold. */
  | 'out-of-memory'
  /** A device or one of its threads stopped working. */
  | 'device-lost'
  /** Training came to numbers that are not finite. */
  | 'diverged'
  /** A file could not be read or written. */
  | 'io'
  /** The caller's AbortSignal fired. */
  | 'aborted';

/** Every error that Widefield throws on purpose: one sentence that says what to do, and a stable code. */
export class WidefieldError extends Error {
  override readonly name = 'WidefieldError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** What errors show of a text that may be of any length: its beginning. */
export function shortened(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

/** Shorthand for the commonest error. */
export function invalidArgument(message: string): WidefieldError {
  return new WidefieldError('invalid-argument', message);
}

/** Throws an `aborted` error if the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortedError(signal);
}

/** The error for work that the signal has stopped. */
export function abortedError(signal: AbortSignal | undefined): WidefieldError {
  return new WidefieldError('aborted', 'The operation was cancelled.', { cause: signal?.reason });
}

/**
 * What has failed, for messages: an error's own, and that of its cause, without which those of `fetch` say nothing. Where
 * several addresses were tried, theirs is a code.
 */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message, cause } = error;
  if (!(cause instanceof Error)) return message;
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.name;
  return `${message} (${cause.message || code})`;
}
