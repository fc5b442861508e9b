/* depthwise 3×3/1 on 4×5×4, 2 outputs in registers, tap order */
#include <stdint.h>

#define LANES 4
typedef float vec __attribute__((vector_size(16)));
typedef float uvec __attribute__((vector_size(16), aligned(4), may_alias)); /* in memory: any alignment */
typedef int32_t mask __attribute__((vector_size(16)));
static inline int32_t wf_mini(int32_t a, int32_t b) { return b < a ? b : a; }
static inline int32_t wf_maxi(int32_t a, int32_t b) { return a < b ? b : a; }

void depthwise_direct_4x5x4_k3x3_s1_tap2_l4(float *const *buffers, float *scratch, int32_t task)
{
  const float *const x_ = buffers[0];
  const float *const packed_ = buffers[1];
  float *const y_ = buffers[2];
  (void)buffers, (void)scratch, (void)task;
  vec acc_1;
  vec acc_2;
  vec acc_5;
  vec acc_6;
  vec acc_9;
  const int32_t t3 = task / 2;
  const int32_t t6 = (task % 2) * 2;
  for (int32_t i_0 = t6, i_0_end = (wf_mini((t6 + 2), 4)); i_0 < i_0_end; i_0 += 1) {
    const int32_t t10 = i_0;
    const int32_t t11 = t3 * 4;
    acc_1 = (0.0f - (vec){0});
    acc_2 = (0.0f - (vec){0});
    const int32_t t13 = t10 - 1;
    const int32_t t15 = wf_maxi((0 - t13), 0);
    const int32_t t20 = wf_mini((wf_maxi(((3 - t13) + 1), 0)), 3);
    for (int32_t i_3 = t15, i_3_end = t20; i_3 < i_3_end; i_3 += 1) {
      const int32_t t21 = i_3;
      const int32_t t30 = (t11 * 9) + (t21 * 12);
      const int32_t t33 = (((t13 + t21) * 20) + t11) + (-4);
      acc_2 = ((*(const uvec *)(packed_ + t30)) * (*(const uvec *)(x_ + t33 + 4)) + (acc_2));
      for (int32_t i_4 = 1; i_4 < 3; i_4 += 1) {
        const int32_t t39 = (i_4) * 4;
        const vec t41 = *(const uvec *)(packed_ + (t30 + t39));
        const int32_t t42 = t33 + t39;
        acc_1 = (t41 * (*(const uvec *)(x_ + t42)) + (acc_1));
        acc_2 = (t41 * (*(const uvec *)(x_ + t42 + 4)) + (acc_2));
      }
    }
    const int32_t t50 = t10 * 5;
    const int32_t t52 = (t50 * 4) + t11;
    *(uvec *)(y_ + t52) = (acc_1);
    *(uvec *)(y_ + t52 + 4) = (acc_2);
    acc_5 = (0.0f - (vec){0});
    acc_6 = (0.0f - (vec){0});
    for (int32_t i_7 = t15, i_7_end = t20; i_7 < i_7_end; i_7 += 1) {
      const int32_t t55 = i_7;
      const int32_t t64 = (t11 * 9) + (t55 * 12);
      const int32_t t65 = (((t13 + t55) * 20) + t11) + 4;
      for (int32_t i_8 = 0; i_8 < 3; i_8 += 1) {
        const int32_t t67 = (i_8) * 4;
        const vec t69 = *(const uvec *)(packed_ + (t64 + t67));
        const int32_t t70 = t65 + t67;
        acc_5 = (t69 * (*(const uvec *)(x_ + t70)) + (acc_5));
        acc_6 = (t69 * (*(const uvec *)(x_ + t70 + 4)) + (acc_6));
      }
    }
    const int32_t t79 = ((t50 + 2) * 4) + t11;
    *(uvec *)(y_ + t79) = (acc_5);
    *(uvec *)(y_ + t79 + 4) = (acc_6);
    acc_9 = (0.0f - (vec){0});
    for (int32_t i_10 = t15, i_10_end = t20; i_10 < i_10_end; i_10 += 1) {
      const int32_t t82 = i_10;
      const int32_t t91 = (t11 * 9) + (t82 * 12);
      const int32_t t92 = (((t13 + t82) * 20) + t11) + 12;
      for (int32_t i_11 = 0; i_11 < 2; i_11 += 1) {
        const int32_t t94 = (i_11) * 4;
        acc_9 = ((*(const uvec *)(packed_ + (t91 + t94))) * (*(const uvec *)(x_ + (t92 + t94))) + (acc_9));
      }
    }
    *(uvec *)(y_ + (((t50 + 4) * 4) + t11)) = (acc_9);
  }
}
