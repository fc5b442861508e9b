/* layer norm of 3 rows of 6 channels, epsilon 0.000001 */
#include <stdint.h>

#define LANES 4
typedef float vec __attribute__((vector_size(16)));
typedef float uvec __attribute__((vector_size(16), aligned(4), may_alias)); /* in memory: any alignment */
typedef int32_t mask __attribute__((vector_size(16)));
static inline vec wf_splat(float a) { return a - (vec){0}; }
static inline float wf_sum(vec a) {
  float t[LANES];
  *(uvec *)t = a;
  for (int i = 0; i < 2; i++) t[i] = t[i] + t[i + 2];
  for (int i = 0; i < 1; i++) t[i] = t[i] + t[i + 1];
  return t[0];
}
static const float partial_[4] __attribute__((aligned(64))) = {1.0f, 1.0f, 0.0f, 0.0f};

void layer_norm_3x6_8_affine_held(float *const *buffers, float *scratch, int32_t task)
{
  const float *const x_ = buffers[0];
  const float *const packed_ = buffers[1];
  float *const y_ = buffers[2];
  (void)buffers, (void)scratch, (void)task;
  vec total_1;
  vec total_2;
  vec total_3;
  vec total_4;
  vec total_5;
  vec total_6;
  vec total_7;
  vec total_8;
  const vec t1 = *(const uvec *)(partial_ + 0);
  const int32_t t4 = task * 3;
  for (int32_t i_0 = t4, i_0_end = (t4 + 3); i_0 < i_0_end; i_0 += 1) {
    const int32_t t8 = (i_0) * 8;
    total_1 = (0.0f - (vec){0});
    total_2 = (0.0f - (vec){0});
    total_3 = (0.0f - (vec){0});
    total_4 = (0.0f - (vec){0});
    const vec t11 = *(const uvec *)(x_ + t8);
    total_1 = ((total_1) + t11);
    const vec t14 = *(const uvec *)(x_ + t8 + 4);
    total_1 = ((total_1) + t14);
    const vec t27 = wf_splat(((wf_sum(((((total_1) + (total_2)) + (total_3)) + (total_4)))) / 6.0f));
    total_5 = (0.0f - (vec){0});
    total_6 = (0.0f - (vec){0});
    total_7 = (0.0f - (vec){0});
    total_8 = (0.0f - (vec){0});
    const vec t29 = t11 - t27;
    total_5 = (t29 * t29 + (total_5));
    const vec t33 = (t14 - t27) * t1;
    total_5 = (t33 * t33 + (total_5));
    const vec t35 = total_5;
    const vec t49 = wf_splat((1.0f / (__builtin_sqrtf((((wf_sum((((t35 + (total_6)) + (total_7)) + (total_8)))) / 6.0f) + 9.999999974752427e-7f)))));
    *(uvec *)(y_ + t8) = ((t29 * t49) * (*(const uvec *)(packed_ + 0)) + (*(const uvec *)(packed_ + 8)));
    *(uvec *)(y_ + t8 + 4) = ((t33 * t49) * (*(const uvec *)(packed_ + 4)) + (*(const uvec *)(packed_ + 12)));
  }
}
