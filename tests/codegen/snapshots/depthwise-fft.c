/* depthwise 3×3 on 4×5×4, transforms 3·2 × 3·2, 1×1 tiles */
#include <stdint.h>

#define LANES 4
typedef float vec __attribute__((vector_size(16)));
typedef float uvec __attribute__((vector_size(16), aligned(4), may_alias)); /* in memory: any alignment */
typedef int32_t mask __attribute__((vector_size(16)));
static inline vec wf_splat(float a) { return a - (vec){0}; }
static const float horizontal_twiddles_[12] __attribute__((aligned(64))) = {1.0f, (-0.0f), 1.0f, (-0.0f), 1.0f, (-0.0f), 1.0f, (-0.0f), 0.5f, (-0.8660253882408142f), (-0.5f), (-0.8660253882408142f)};

void depthwise_fft_4x5x4_k3x3_n6x6_l4(float *const *buffers, float *scratch, int32_t task)
{
  const float *const x_ = buffers[0];
  const float *const packed_ = buffers[1];
  float *const y_ = buffers[2];
  float *const plane_ = scratch + 0;
  float *const line_ = scratch + 160;
  float *const parked_ = scratch + 208;
  (void)buffers, (void)scratch, (void)task;
  const int32_t t4 = task * 4;
  for (int32_t i_0 = 0; i_0 < 4; i_0 += 1) {
    const int32_t t7 = i_0;
    const int32_t t10 = (t7 * 20) + t4;
    /* row: 5 real pixels to 3×2 frequencies */
    const vec t11 = *(const uvec *)(x_ + t10);
    const vec t12 = *(const uvec *)(x_ + t10 + 8);
    const vec t13 = *(const uvec *)(x_ + t10 + 16);
    const vec t14 = t12 + t13;
    const vec t18 = t14 * ((-0.5f) - (vec){0}) + t11;
    const vec t20 = (t12 - t13) * (0.8660253882408142f - (vec){0});
    *(uvec *)(line_ + 0) = (t11 + t14);
    const vec t23 = wf_splat(*(horizontal_twiddles_ + 2));
    const vec t24 = wf_splat(*(horizontal_twiddles_ + 3));
    const vec t30 = (t18 * t24) - (t20 * t23);
    *(uvec *)(line_ + 16) = ((t18 * t23) + (t20 * t24));
    *(uvec *)(line_ + 20) = t30;
    const int32_t t32 = t10 + 4;
    const vec t33 = *(const uvec *)(x_ + t32);
    const vec t34 = *(const uvec *)(x_ + t32 + 8);
    const vec t36 = t34 * ((-0.5f) - (vec){0}) + t33;
    const vec t37 = t34 * (0.8660253882408142f - (vec){0});
    *(uvec *)(line_ + 8) = (t33 + t34);
    const vec t38 = wf_splat(*(horizontal_twiddles_ + 8));
    const vec t39 = wf_splat(*(horizontal_twiddles_ + 9));
    const vec t45 = (t36 * t39) - (t37 * t38);
    *(uvec *)(line_ + 24) = ((t36 * t38) + (t37 * t39));
    *(uvec *)(line_ + 28) = t45;
    const vec t48 = *(const uvec *)(line_ + 0);
    const vec t51 = *(const uvec *)(line_ + 8);
    const vec t53 = t48 - t51;
    const int32_t t55 = t7 * 8;
    *(uvec *)(plane_ + t55) = (t48 + t51);
    *(uvec *)(plane_ + t55 + 4) = (0.0f - (vec){0});
    const int32_t t57 = 40 + t55;
    *(uvec *)(plane_ + t57) = t53;
    *(uvec *)(plane_ + t57 + 4) = (0.0f - (vec){0});
    const vec t59 = *(const uvec *)(line_ + 16);
    const vec t60 = *(const uvec *)(line_ + 20);
    const vec t61 = *(const uvec *)(line_ + 24);
    const vec t62 = *(const uvec *)(line_ + 28);
    const vec t64 = t60 + t62;
    const vec t65 = t59 - t61;
    const vec t66 = t60 - t62;
    *(uvec *)(plane_ + t55 + 80) = (t59 + t61);
    *(uvec *)(plane_ + t55 + 84) = t64;
    *(uvec *)(plane_ + t55 + 120) = t65;
    *(uvec *)(plane_ + t55 + 124) = t66;
  }
  const int32_t t68 = task * 192;
  for (int32_t i_1 = 0; i_1 < 4; i_1 += 1) {
    const int32_t t69 = i_1;
    const int32_t t72 = t68 + (t69 * 48);
    const int32_t t74 = t69 * 40;
    for (int32_t i_2 = 0; i_2 < 2; i_2 += 1) {
      const int32_t t76 = i_2;
      const int32_t t78 = t76 * 8;
      const int32_t t79 = t74 + t78;
      const vec t80 = *(const uvec *)(plane_ + t79);
      const vec t81 = *(const uvec *)(plane_ + t79 + 4);
      const vec t82 = *(const uvec *)(plane_ + t79 + 16);
      const vec t83 = *(const uvec *)(plane_ + t79 + 20);
      const vec t85 = t81 + t83;
      const vec t87 = t82 * ((-0.5f) - (vec){0}) + t80;
      const vec t88 = t83 * ((-0.5f) - (vec){0}) + t81;
      const vec t90 = t82 * (0.8660253882408142f - (vec){0});
      const vec t91 = t83 * (0.8660253882408142f - (vec){0});
      const vec t92 = t87 + t91;
      const vec t93 = t88 - t90;
      const vec t94 = t87 - t91;
      const vec t95 = t88 + t90;
      *(uvec *)(line_ + t78) = (t80 + t82);
      *(uvec *)(line_ + t78 + 4) = t85;
      const int32_t t97 = t76 * 6;
      const vec t98 = wf_splat(*(horizontal_twiddles_ + t97 + 2));
      const vec t99 = wf_splat(*(horizontal_twiddles_ + t97 + 3));
      const vec t105 = (t93 * t98) + (t92 * t99);
      *(uvec *)(line_ + t78 + 16) = ((t92 * t98) - (t93 * t99));
      *(uvec *)(line_ + t78 + 20) = t105;
      const vec t106 = wf_splat(*(horizontal_twiddles_ + t97 + 4));
      const vec t107 = wf_splat(*(horizontal_twiddles_ + t97 + 5));
      const vec t113 = (t95 * t106) + (t94 * t107);
      *(uvec *)(line_ + t78 + 32) = ((t94 * t106) - (t95 * t107));
      *(uvec *)(line_ + t78 + 36) = t113;
    }
    for (int32_t i_3 = 0; i_3 < 3; i_3 += 1) {
      const int32_t t118 = (i_3) * 16;
      const int32_t t119 = t72 + t118;
      const vec t120 = *(const uvec *)(line_ + t118);
      const vec t121 = *(const uvec *)(line_ + t118 + 4);
      const vec t122 = *(const uvec *)(line_ + t118 + 8);
      const vec t123 = *(const uvec *)(line_ + t118 + 12);
      const vec t124 = t120 + t122;
      const vec t125 = t121 + t123;
      const vec t126 = t120 - t122;
      const vec t127 = t121 - t123;
      const vec t128 = *(const uvec *)(packed_ + t119);
      const vec t129 = *(const uvec *)(packed_ + t119 + 4);
      const vec t135 = (t125 * t128) + (t124 * t129);
      *(uvec *)(parked_ + 128) = ((t124 * t128) - (t125 * t129));
      *(uvec *)(parked_ + 132) = t135;
      const vec t136 = *(const uvec *)(packed_ + t119 + 8);
      const vec t137 = *(const uvec *)(packed_ + t119 + 12);
      const vec t143 = (t127 * t136) + (t126 * t137);
      *(uvec *)(parked_ + 136) = ((t126 * t136) - (t127 * t137));
      *(uvec *)(parked_ + 140) = t143;
      const vec t144 = *(const uvec *)(parked_ + 128);
      const vec t145 = *(const uvec *)(parked_ + 132);
      const vec t146 = *(const uvec *)(parked_ + 136);
      const vec t147 = *(const uvec *)(parked_ + 140);
      const vec t149 = t145 + t147;
      const vec t150 = t144 - t146;
      const vec t151 = t145 - t147;
      *(uvec *)(line_ + t118) = (t144 + t146);
      *(uvec *)(line_ + t118 + 4) = t149;
      *(uvec *)(line_ + t118 + 8) = t150;
      *(uvec *)(line_ + t118 + 12) = t151;
    }
    for (int32_t i_4 = 0; i_4 < 2; i_4 += 1) {
      const int32_t t152 = i_4;
      const int32_t t155 = t152 * 8;
      const int32_t t156 = t74 + t155;
      const vec t157 = *(const uvec *)(line_ + t155);
      const vec t158 = *(const uvec *)(line_ + t155 + 4);
      const vec t159 = *(const uvec *)(line_ + t155 + 16);
      const vec t160 = *(const uvec *)(line_ + t155 + 20);
      const int32_t t162 = t152 * 6;
      const vec t163 = wf_splat(*(horizontal_twiddles_ + t162 + 2));
      const vec t164 = wf_splat(*(horizontal_twiddles_ + t162 + 3));
      const vec t167 = (t159 * t163) + (t160 * t164);
      const vec t170 = (t160 * t163) - (t159 * t164);
      const vec t171 = *(const uvec *)(line_ + t155 + 32);
      const vec t172 = *(const uvec *)(line_ + t155 + 36);
      const vec t173 = wf_splat(*(horizontal_twiddles_ + t162 + 4));
      const vec t174 = wf_splat(*(horizontal_twiddles_ + t162 + 5));
      const vec t177 = (t171 * t173) + (t172 * t174);
      const vec t180 = (t172 * t173) - (t171 * t174);
      const vec t181 = t167 + t177;
      const vec t182 = t170 + t180;
      const vec t186 = t158 + t182;
      const vec t193 = (t181 * ((-0.5f) - (vec){0}) + t157) - ((t170 - t180) * (0.8660253882408142f - (vec){0}));
      const vec t194 = (t182 * ((-0.5f) - (vec){0}) + t158) + ((t167 - t177) * (0.8660253882408142f - (vec){0}));
      *(uvec *)(plane_ + t156) = (t157 + t181);
      *(uvec *)(plane_ + t156 + 4) = t186;
      *(uvec *)(plane_ + t156 + 16) = t193;
      *(uvec *)(plane_ + t156 + 20) = t194;
    }
  }
  for (int32_t i_5 = 0; i_5 < 4; i_5 += 1) {
    const int32_t t197 = i_5;
    const int32_t t200 = (t197 * 20) + t4;
    /* row: 3×2 frequencies to 5 real pixels */
    const int32_t t203 = t197 * 8;
    const vec t204 = *(const uvec *)(plane_ + t203);
    const vec t207 = *(const uvec *)(plane_ + (40 + t203));
    const vec t210 = t204 - t207;
    *(uvec *)(line_ + 0) = (t204 + t207);
    *(uvec *)(line_ + 8) = t210;
    const vec t212 = *(const uvec *)(plane_ + t203 + 80);
    const vec t213 = *(const uvec *)(plane_ + t203 + 84);
    const vec t214 = *(const uvec *)(plane_ + t203 + 120);
    const vec t215 = *(const uvec *)(plane_ + t203 + 124);
    const vec t217 = t213 + t215;
    const vec t218 = t212 - t214;
    const vec t219 = t213 - t215;
    *(uvec *)(line_ + 16) = (t212 + t214);
    *(uvec *)(line_ + 20) = t217;
    const vec t221 = wf_splat(*(horizontal_twiddles_ + 8));
    const vec t222 = wf_splat(*(horizontal_twiddles_ + 9));
    const vec t228 = (t219 * t221) - (t218 * t222);
    *(uvec *)(line_ + 24) = ((t218 * t221) + (t219 * t222));
    *(uvec *)(line_ + 28) = t228;
    const vec t231 = *(const uvec *)(line_ + 0);
    const vec t232 = *(const uvec *)(line_ + 16);
    const vec t233 = *(const uvec *)(line_ + 20);
    const vec t234 = t232 + t232;
    const vec t240 = t234 * ((-0.5f) - (vec){0}) + t231;
    const vec t245 = (t233 + t233) * (0.8660253882408142f - (vec){0});
    const vec t246 = t240 - t245;
    const vec t248 = t240 + t245;
    *(uvec *)(y_ + t200) = (t231 + t234);
    *(uvec *)(y_ + t200 + 8) = t246;
    *(uvec *)(y_ + t200 + 16) = t248;
    const vec t252 = *(const uvec *)(line_ + 8);
    const vec t253 = *(const uvec *)(line_ + 24);
    const vec t254 = *(const uvec *)(line_ + 28);
    const vec t255 = t253 + t253;
    const vec t264 = (t255 * ((-0.5f) - (vec){0}) + t252) - ((t254 + t254) * (0.8660253882408142f - (vec){0}));
    const int32_t t268 = t200 + 4;
    *(uvec *)(y_ + t268) = (t252 + t255);
    *(uvec *)(y_ + t268 + 8) = t264;
  }
}
