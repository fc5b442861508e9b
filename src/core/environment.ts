/** Whether this runs under Node, or something that acts as Node does: files, native code and sharp are there. */
export function isNode(): boolean {
  return typeof process !== 'undefined' && typeof process.versions?.node === 'string';
}
