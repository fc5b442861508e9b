/**
 * Definitions in C of stores past the caches: where AVX-512 has them and a vector is a cache line. Narrower
 * stores of this kind would write memory piecemeal, so elsewhere they are plain. They are not ordered by what
 * orders other stores, hence the fence at a kernel's end.
 */
export function streamHelpers(lanes: number): Record<string, string> {
  if (lanes !== 16) {
    return {
      wf_stream: 'static inline void wf_stream(float *to, vec a) { *(uvec *)to = a; }',
      wf_stream_end: 'static inline void wf_stream_end(void) {}',
    };
  }
  return {
    wf_stream: [
      'static inline void wf_stream(float *to, vec a) {',
      '#if defined(__AVX512F__) && defined(__clang__)',
      '  if ((uintptr_t)to % sizeof(vec) == 0) { __builtin_nontemporal_store(a, (vec *)to); return; }',
      '#elif defined(__AVX512F__)',
      '  if ((uintptr_t)to % sizeof(vec) == 0) { __builtin_ia32_movntps512(to, a); return; }',
      '#endif',
      '  *(uvec *)to = a;',
      '}',
    ].join('\n'),
    wf_stream_end: [
      'static inline void wf_stream_end(void) {',
      '#ifdef __AVX512F__',
      '  __builtin_ia32_sfence();',
      '#endif',
      '}',
    ].join('\n'),
  };
}
