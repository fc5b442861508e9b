/* [5, 3] · [3, 8], register tiles of 2 rows × 2 vectors */
#include <stdint.h>

#define LANES 4
typedef float vec __attribute__((vector_size(16)));
typedef float uvec __attribute__((vector_size(16), aligned(4), may_alias)); /* in memory: any alignment */
typedef int32_t mask __attribute__((vector_size(16)));
static inline vec wf_splat(float a) { return a - (vec){0}; }
static inline vec wf_maxc(vec a, vec b) { const mask m = a < b; return (vec)((m & (mask)b) | (~m & (mask)a)); }
static inline int32_t wf_mini(int32_t a, int32_t b) { return b < a ? b : a; }

void pointwise_5x3x8_t2x2_l4(float *const *buffers, float *scratch, int32_t task)
{
  const float *const x_ = buffers[0];
  const float *const packed_ = buffers[1];
  float *const y_ = buffers[2];
  (void)buffers, (void)scratch, (void)task;
  vec acc_2;
  vec acc_3;
  vec acc_4;
  vec acc_5;
  vec acc_7;
  vec acc_8;
  for (int32_t i_0 = task, i_0_end = (wf_mini((task + 1), 1)); i_0 < i_0_end; i_0 += 1) {
    const int32_t t7 = i_0;
    const int32_t t9 = t7 * 32;
    const int32_t t11 = t7 * 8;
    for (int32_t i_1 = 0; i_1 < 2; i_1 += 1) {
      const int32_t t12 = i_1;
      acc_2 = (0.0f - (vec){0});
      acc_3 = (0.0f - (vec){0});
      acc_4 = (0.0f - (vec){0});
      acc_5 = (0.0f - (vec){0});
      const int32_t t14 = t12 * 8;
      for (int32_t i_6 = 0; i_6 < 4; i_6 += 1) {
        const int32_t t16 = i_6;
        const int32_t t18 = t9 + (t16 * 8);
        const vec t19 = *(const uvec *)(packed_ + t18);
        const vec t20 = *(const uvec *)(packed_ + t18 + 4);
        const int32_t t21 = t14 + t16;
        const vec t22 = wf_splat(*(x_ + t21));
        acc_2 = (t22 * t19 + (acc_2));
        acc_3 = (t22 * t20 + (acc_3));
        const vec t27 = wf_splat(*(x_ + t21 + 4));
        acc_4 = (t27 * t19 + (acc_4));
        acc_5 = (t27 * t20 + (acc_5));
      }
      const int32_t t35 = (t12 * 16) + t11;
      *(uvec *)(y_ + t35) = (wf_maxc(((acc_2) + (*(const uvec *)(packed_ + t11 + 32))), (0.0f - (vec){0})));
      const int32_t t40 = t11 + 4;
      *(uvec *)(y_ + t35 + 4) = (wf_maxc(((acc_3) + (*(const uvec *)(packed_ + t40 + 32))), (0.0f - (vec){0})));
      *(uvec *)(y_ + t35 + 8) = (wf_maxc(((acc_4) + (*(const uvec *)(packed_ + t11 + 32))), (0.0f - (vec){0})));
      *(uvec *)(y_ + t35 + 12) = (wf_maxc(((acc_5) + (*(const uvec *)(packed_ + t40 + 32))), (0.0f - (vec){0})));
    }
    acc_7 = (0.0f - (vec){0});
    acc_8 = (0.0f - (vec){0});
    for (int32_t i_9 = 0; i_9 < 4; i_9 += 1) {
      const int32_t t56 = i_9;
      const int32_t t58 = t9 + (t56 * 8);
      const vec t60 = *(const uvec *)(packed_ + t58 + 4);
      const vec t62 = wf_splat(*(x_ + (16 + t56)));
      acc_7 = (t62 * (*(const uvec *)(packed_ + t58)) + (acc_7));
      acc_8 = (t62 * t60 + (acc_8));
    }
    const int32_t t68 = 32 + t11;
    *(uvec *)(y_ + t68) = (wf_maxc(((acc_7) + (*(const uvec *)(packed_ + t11 + 32))), (0.0f - (vec){0})));
    *(uvec *)(y_ + t68 + 4) = (wf_maxc(((acc_8) + (*(const uvec *)(packed_ + (t11 + 4) + 32))), (0.0f - (vec){0})));
  }
}
