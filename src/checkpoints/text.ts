/** Text from a file as it may go into an error message: short, and without control characters. */
export function printable(text: string, length = 120): string {
  // eslint-disable-next-line no-control-regex -- these are what must not reach a terminal
  const clean = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/g, '\ufffd');
  return clean.length > length ? `${clean.slice(0, length)}…` : clean;
}

/** A shape as error messages write it. */
export function shapeText(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`;
}
