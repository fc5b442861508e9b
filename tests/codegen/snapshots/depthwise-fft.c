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
      const int32_t t117 = (i_3) * 16;
      const vec t118 = *(const uvec *)(line_ + t117);
      const vec t119 = *(const uvec *)(line_ + t117 + 4);
      const vec t120 = *(const uvec *)(line_ + t117 + 8);
      const vec t121 = *(const uvec *)(line_ + t117 + 12);
      const int32_t t122 = t72 + t117;
      const vec t123 = t118 + t120;
      const vec t124 = t119 + t121;
      const vec t125 = t118 - t120;
      const vec t126 = t119 - t121;
      const vec t127 = *(const uvec *)(packed_ + t122);
      const vec t128 = *(const uvec *)(packed_ + t122 + 4);
      const vec t131 = (t123 * t127) - (t124 * t128);
      const vec t134 = (t124 * t127) + (t123 * t128);
      const vec t135 = *(const uvec *)(packed_ + t122 + 8);
      const vec t136 = *(const uvec *)(packed_ + t122 + 12);
      const vec t139 = (t125 * t135) - (t126 * t136);
      const vec t142 = (t126 * t135) + (t125 * t136);
      const vec t144 = t134 + t142;
      const vec t145 = t131 - t139;
      const vec t146 = t134 - t142;
      *(uvec *)(line_ + t117) = (t131 + t139);
      *(uvec *)(line_ + t117 + 4) = t144;
      *(uvec *)(line_ + t117 + 8) = t145;
      *(uvec *)(line_ + t117 + 12) = t146;
    }
    for (int32_t i_4 = 0; i_4 < 2; i_4 += 1) {
      const int32_t t147 = i_4;
      const int32_t t149 = t147 * 8;
      const vec t150 = *(const uvec *)(line_ + t149);
      const vec t151 = *(const uvec *)(line_ + t149 + 4);
      const vec t152 = *(const uvec *)(line_ + t149 + 16);
      const vec t153 = *(const uvec *)(line_ + t149 + 20);
      const int32_t t155 = t147 * 6;
      const vec t156 = wf_splat(*(horizontal_twiddles_ + t155 + 2));
      const vec t157 = wf_splat(*(horizontal_twiddles_ + t155 + 3));
      const vec t160 = (t152 * t156) + (t153 * t157);
      const vec t163 = (t153 * t156) - (t152 * t157);
      const vec t164 = *(const uvec *)(line_ + t149 + 32);
      const vec t165 = *(const uvec *)(line_ + t149 + 36);
      const vec t166 = wf_splat(*(horizontal_twiddles_ + t155 + 4));
      const vec t167 = wf_splat(*(horizontal_twiddles_ + t155 + 5));
      const vec t170 = (t164 * t166) + (t165 * t167);
      const vec t173 = (t165 * t166) - (t164 * t167);
      const vec t174 = t160 + t170;
      const vec t175 = t163 + t173;
      const vec t179 = t151 + t175;
      const vec t186 = (t174 * ((-0.5f) - (vec){0}) + t150) - ((t163 - t173) * (0.8660253882408142f - (vec){0}));
      const vec t187 = (t175 * ((-0.5f) - (vec){0}) + t151) + ((t160 - t170) * (0.8660253882408142f - (vec){0}));
      const int32_t t190 = t74 + t149;
      *(uvec *)(plane_ + t190) = (t150 + t174);
      *(uvec *)(plane_ + t190 + 4) = t179;
      *(uvec *)(plane_ + t190 + 16) = t186;
      *(uvec *)(plane_ + t190 + 20) = t187;
    }
  }
  for (int32_t i_5 = 0; i_5 < 4; i_5 += 1) {
    const int32_t t191 = i_5;
    const int32_t t194 = (t191 * 20) + t4;
    /* row: 3×2 frequencies to 5 real pixels */
    const int32_t t197 = t191 * 8;
    const vec t198 = *(const uvec *)(plane_ + t197);
    const vec t201 = *(const uvec *)(plane_ + (40 + t197));
    const vec t204 = t198 - t201;
    *(uvec *)(line_ + 0) = (t198 + t201);
    *(uvec *)(line_ + 8) = t204;
    const vec t206 = *(const uvec *)(plane_ + t197 + 80);
    const vec t207 = *(const uvec *)(plane_ + t197 + 84);
    const vec t208 = *(const uvec *)(plane_ + t197 + 120);
    const vec t209 = *(const uvec *)(plane_ + t197 + 124);
    const vec t211 = t207 + t209;
    const vec t212 = t206 - t208;
    const vec t213 = t207 - t209;
    *(uvec *)(line_ + 16) = (t206 + t208);
    *(uvec *)(line_ + 20) = t211;
    const vec t215 = wf_splat(*(horizontal_twiddles_ + 8));
    const vec t216 = wf_splat(*(horizontal_twiddles_ + 9));
    const vec t222 = (t213 * t215) - (t212 * t216);
    *(uvec *)(line_ + 24) = ((t212 * t215) + (t213 * t216));
    *(uvec *)(line_ + 28) = t222;
    const vec t225 = *(const uvec *)(line_ + 0);
    const vec t226 = *(const uvec *)(line_ + 16);
    const vec t227 = *(const uvec *)(line_ + 20);
    const vec t228 = t226 + t226;
    const vec t234 = t228 * ((-0.5f) - (vec){0}) + t225;
    const vec t239 = (t227 + t227) * (0.8660253882408142f - (vec){0});
    const vec t240 = t234 - t239;
    const vec t242 = t234 + t239;
    *(uvec *)(y_ + t194) = (t225 + t228);
    *(uvec *)(y_ + t194 + 8) = t240;
    *(uvec *)(y_ + t194 + 16) = t242;
    const vec t246 = *(const uvec *)(line_ + 8);
    const vec t247 = *(const uvec *)(line_ + 24);
    const vec t248 = *(const uvec *)(line_ + 28);
    const vec t249 = t247 + t247;
    const vec t258 = (t249 * ((-0.5f) - (vec){0}) + t246) - ((t248 + t248) * (0.8660253882408142f - (vec){0}));
    const int32_t t262 = t194 + 4;
    *(uvec *)(y_ + t262) = (t246 + t249);
    *(uvec *)(y_ + t262 + 8) = t258;
  }
}
