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
  const float *const x = buffers[0];
  const float *const packed = buffers[1];
  float *const y = buffers[2];
  (void)buffers, (void)scratch, (void)task;
  vec acc_2;
  vec acc_3;
  vec acc_4;
  vec acc_5;
  vec acc_7;
  vec acc_8;
  for (int32_t i_0 = task, i_0_end = (wf_mini((task + 1), 1)); i_0 < i_0_end; i_0 += 1) {
    const int32_t t7 = i_0;
    const int32_t t9 = t7 * 24;
    const int32_t t11 = t7 * 8;
    for (int32_t i_1 = 0; i_1 < 2; i_1 += 1) {
      const int32_t t12 = i_1;
      acc_2 = (0.0f - (vec){0});
      acc_3 = (0.0f - (vec){0});
      acc_4 = (0.0f - (vec){0});
      acc_5 = (0.0f - (vec){0});
      const int32_t t14 = t12 * 8;
      for (int32_t i_6 = 0; i_6 < 3; i_6 += 1) {
        const int32_t t15 = i_6;
        const int32_t t17 = t9 + (t15 * 8);
        const vec t18 = *(const uvec *)(packed + t17);
        const vec t19 = *(const uvec *)(packed + t17 + 4);
        const int32_t t20 = t14 + t15;
        const vec t21 = wf_splat(*(x + t20));
        acc_2 = (t21 * t18 + (acc_2));
        acc_3 = (t21 * t19 + (acc_3));
        const vec t26 = wf_splat(*(x + t20 + 4));
        acc_4 = (t26 * t18 + (acc_4));
        acc_5 = (t26 * t19 + (acc_5));
      }
      const int32_t t34 = (t12 * 16) + t11;
      *(uvec *)(y + t34) = (wf_maxc(((acc_2) + (*(const uvec *)(packed + t11 + 32))), (0.0f - (vec){0})));
      const int32_t t40 = t11 + 4;
      *(uvec *)(y + t34 + 4) = (wf_maxc(((acc_3) + (*(const uvec *)(packed + t40 + 32))), (0.0f - (vec){0})));
      *(uvec *)(y + t34 + 8) = (wf_maxc(((acc_4) + (*(const uvec *)(packed + t11 + 32))), (0.0f - (vec){0})));
      *(uvec *)(y + t34 + 12) = (wf_maxc(((acc_5) + (*(const uvec *)(packed + t40 + 32))), (0.0f - (vec){0})));
    }
    acc_7 = (0.0f - (vec){0});
    acc_8 = (0.0f - (vec){0});
    for (int32_t i_9 = 0; i_9 < 3; i_9 += 1) {
      const int32_t t55 = i_9;
      const int32_t t57 = t9 + (t55 * 8);
      const vec t59 = *(const uvec *)(packed + t57 + 4);
      const vec t61 = wf_splat(*(x + (16 + t55)));
      acc_7 = (t61 * (*(const uvec *)(packed + t57)) + (acc_7));
      acc_8 = (t61 * t59 + (acc_8));
    }
    const int32_t t68 = 32 + t11;
    *(uvec *)(y + t68) = (wf_maxc(((acc_7) + (*(const uvec *)(packed + t11 + 32))), (0.0f - (vec){0})));
    *(uvec *)(y + t68 + 4) = (wf_maxc(((acc_8) + (*(const uvec *)(packed + (t11 + 4) + 32))), (0.0f - (vec){0})));
  }
}
