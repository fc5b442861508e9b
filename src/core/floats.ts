import { invalidArgument, shortened } from './errors.ts';

/**
 * Throws `invalid-argument`, naming what came, unless that is a Float32Array: callers without types may pass anything, and
 * other numbers would be converted on the way, to results that look right.
 *
 * @param what begins the message: `The input`
 * @param forBytes what to do with bytes
 */
export function checkFloats(
  values: unknown,
  what: string,
  forBytes = CONVERT,
): asserts values is Float32Array {
  const tag = tagOf(values);
  const isTyped = ArrayBuffer.isView(values);
  // Not `instanceof`, which refuses arrays from other realms, such as a page's frames.
  if (isTyped && tag === 'Float32Array') return;
  const isBytes = isTyped && /^Uint8(Clamped)?Array$/.test(tag);
  const advice = isBytes ? `: ${forBytes}` : isTyped || Array.isArray(values) ? `: ${CONVERT}` : '';
  throw invalidArgument(`${what} must be a Float32Array, got ${described(values, tag)}${advice}.`);
}

const CONVERT = 'convert it with Float32Array.from';

/** The name of what built-in classes made, whatever realm they are of; `Object` for most others. */
function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice('[object '.length, -1);
}

function described(value: unknown, tag: string): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  const kind = typeof value === 'object' ? shortened(tag) : typeof value;
  return `${/^[AEIOaeio]/.test(kind) ? 'an' : 'a'} ${kind}`;
}
