interface Instructions {
  readonly prefix: string;
  /** The type of vectors of floats; that of bfloat16 has `bh` behind it. */
  readonly type: string;
  /** Words 0, n, 1, n + 1, …: with the low halves in front, this makes pairs. */
  readonly interleave: string;
}

/** What AVX-512 calls things, by lanes. */
const INSTRUCTIONS: Readonly<Record<number, Instructions>> = {
  4: { prefix: '_mm', type: '__m128', interleave: '_mm_permutexvar_epi16' },
  8: { prefix: '_mm256', type: '__m256', interleave: '_mm256_permutexvar_epi16' },
  16: { prefix: '_mm512', type: '__m512', interleave: '_mm512_permutexvar_epi16' },
};

/** Definitions in C of what kernels with pairs of bfloat16 use, by name. Pairs are never computed with as floats. */
export function bf16Helpers(lanes: number): Record<string, string> {
  return {
    wf_pack_bf16: whereAvailable(lanes, packInstructions, [
      `typedef uint32_t bits __attribute__((vector_size(${4 * lanes})));`,
      'static inline bits wf_round_bf16(vec a) {',
      '  const bits number = (bits)(a == a), rounded = (bits)a + 0x7fff + (((bits)a >> 16) & 1);',
      '  return (number & rounded) | (~number & 0x7fc00000);',
      '}',
      'static inline vec wf_pack_bf16(vec low, vec high) {',
      '  return (vec)((wf_round_bf16(low) >> 16) | (wf_round_bf16(high) & 0xffff0000));',
      '}',
    ]),
    wf_pack_bf16f: [
      'typedef union { float f; uint32_t u; } word;',
      'static inline uint32_t wf_round_bf16f(float a) {',
      '  const word w = {a};',
      '  return a == a ? w.u + 0x7fff + ((w.u >> 16) & 1) : 0x7fc00000;',
      '}',
      'static inline float wf_pack_bf16f(float low, float high) {',
      '  const word w = {.u = (wf_round_bf16f(low) >> 16) | (wf_round_bf16f(high) & 0xffff0000)};',
      '  return w.f;',
      '}',
    ].join('\n'),
    wf_dot_bf16: whereAvailable(lanes, dotInstructions, [
      'static inline vec wf_dot_bf16(vec a, vec b, vec c) {',
      '  c = (vec)((mask)a & -65536) * (vec)((mask)b & -65536) + c;',
      '  return (vec)((mask)a << 16) * (vec)((mask)b << 16) + c;',
      '}',
    ]),
  };
}

function packInstructions(lanes: number, { prefix, type, interleave }: Instructions): string[] {
  const order = Array.from({ length: 2 * lanes }, (_, i) => (i >> 1) + (i & 1) * lanes);
  return [
    'static inline vec wf_pack_bf16(vec low, vec high) {',
    `  typedef int16_t words __attribute__((vector_size(${4 * lanes})));`,
    `  const words order = {${order.join(', ')}};`,
    `  const ${type}bh rounded = ${prefix}_cvtne2ps_pbh((${type})high, (${type})low);`,
    `  return (vec)${interleave}((${type}i)order, (${type}i)rounded);`,
    '}',
  ];
}

/** The product of the high halves is added first, as in the portable form. */
function dotInstructions(_lanes: number, { prefix, type }: Instructions): string[] {
  return [
    'static inline vec wf_dot_bf16(vec a, vec b, vec c) {',
    `  return (vec)${prefix}_dpbf16_ps((${type})c, (${type}bh)a, (${type}bh)b);`,
    '}',
  ];
}

function whereAvailable(
  lanes: number,
  withInstructions: (lanes: number, instructions: Instructions) => readonly string[],
  portable: readonly string[],
): string {
  const instructions = INSTRUCTIONS[lanes];
  if (instructions === undefined) return portable.join('\n');
  return [
    '#if defined(__AVX512BF16__) && defined(__AVX512VL__) && defined(__AVX512BW__)',
    '#include <immintrin.h>',
    ...withInstructions(lanes, instructions),
    '#else',
    ...portable,
    '#endif',
  ].join('\n');
}
