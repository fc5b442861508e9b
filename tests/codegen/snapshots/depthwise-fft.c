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
      const int32_t t117 = (i_3) * 16;
      const int32_t t118 = t72 + t117;
      const vec t119 = *(const uvec *)(line_ + t117);
      const vec t120 = *(const uvec *)(line_ + t117 + 4);
      const vec t121 = *(const uvec *)(line_ + t117 + 8);
      const vec t122 = *(const uvec *)(line_ + t117 + 12);
      const vec t123 = t119 + t121;
      const vec t124 = t120 + t122;
      const vec t125 = t119 - t121;
      const vec t126 = t120 - t122;
      const vec t127 = *(const uvec *)(packed_ + t118);
      const vec t128 = *(const uvec *)(packed_ + t118 + 4);
      const vec t134 = (t124 * t127) + (t123 * t128);
      *(uvec *)(parked_ + 128) = ((t123 * t127) - (t124 * t128));
      *(uvec *)(parked_ + 132) = t134;
      const vec t135 = *(const uvec *)(packed_ + t118 + 8);
      const vec t136 = *(const uvec *)(packed_ + t118 + 12);
      const vec t142 = (t126 * t135) + (t125 * t136);
      *(uvec *)(parked_ + 136) = ((t125 * t135) - (t126 * t136));
      *(uvec *)(parked_ + 140) = t142;
      const vec t143 = *(const uvec *)(parked_ + 128);
      const vec t144 = *(const uvec *)(parked_ + 132);
      const vec t145 = *(const uvec *)(parked_ + 136);
      const vec t146 = *(const uvec *)(parked_ + 140);
      const vec t148 = t144 + t146;
      const vec t149 = t143 - t145;
      const vec t150 = t144 - t146;
      *(uvec *)(line_ + t117) = (t143 + t145);
      *(uvec *)(line_ + t117 + 4) = t148;
      *(uvec *)(line_ + t117 + 8) = t149;
      *(uvec *)(line_ + t117 + 12) = t150;
    }
    for (int32_t i_4 = 0; i_4 < 2; i_4 += 1) {
      const int32_t t151 = i_4;
      const int32_t t153 = t151 * 8;
      const int32_t t154 = t74 + t153;
      const vec t155 = *(const uvec *)(line_ + t153);
      const vec t156 = *(const uvec *)(line_ + t153 + 4);
      const vec t157 = *(const uvec *)(line_ + t153 + 16);
      const vec t158 = *(const uvec *)(line_ + t153 + 20);
      const int32_t t160 = t151 * 6;
      const vec t161 = wf_splat(*(horizontal_twiddles_ + t160 + 2));
      const vec t162 = wf_splat(*(horizontal_twiddles_ + t160 + 3));
      const vec t165 = (t157 * t161) + (t158 * t162);
      const vec t168 = (t158 * t161) - (t157 * t162);
      const vec t169 = *(const uvec *)(line_ + t153 + 32);
      const vec t170 = *(const uvec *)(line_ + t153 + 36);
      const vec t171 = wf_splat(*(horizontal_twiddles_ + t160 + 4));
      const vec t172 = wf_splat(*(horizontal_twiddles_ + t160 + 5));
      const vec t175 = (t169 * t171) + (t170 * t172);
      const vec t178 = (t170 * t171) - (t169 * t172);
      const vec t179 = t165 + t175;
      const vec t180 = t168 + t178;
      const vec t184 = t156 + t180;
      const vec t191 = (t179 * ((-0.5f) - (vec){0}) + t155) - ((t168 - t178) * (0.8660253882408142f - (vec){0}));
      const vec t192 = (t180 * ((-0.5f) - (vec){0}) + t156) + ((t165 - t175) * (0.8660253882408142f - (vec){0}));
      *(uvec *)(plane_ + t154) = (t155 + t179);
      *(uvec *)(plane_ + t154 + 4) = t184;
      *(uvec *)(plane_ + t154 + 16) = t191;
      *(uvec *)(plane_ + t154 + 20) = t192;
    }
  }
  for (int32_t i_5 = 0; i_5 < 4; i_5 += 1) {
    const int32_t t195 = i_5;
    const int32_t t198 = (t195 * 20) + t4;
    /* row: 3×2 frequencies to 5 real pixels */
    const int32_t t201 = t195 * 8;
    const vec t202 = *(const uvec *)(plane_ + t201);
    const vec t205 = *(const uvec *)(plane_ + (40 + t201));
    const vec t208 = t202 - t205;
    *(uvec *)(line_ + 0) = (t202 + t205);
    *(uvec *)(line_ + 8) = t208;
    const vec t210 = *(const uvec *)(plane_ + t201 + 80);
    const vec t211 = *(const uvec *)(plane_ + t201 + 84);
    const vec t212 = *(const uvec *)(plane_ + t201 + 120);
    const vec t213 = *(const uvec *)(plane_ + t201 + 124);
    const vec t215 = t211 + t213;
    const vec t216 = t210 - t212;
    const vec t217 = t211 - t213;
    *(uvec *)(line_ + 16) = (t210 + t212);
    *(uvec *)(line_ + 20) = t215;
    const vec t219 = wf_splat(*(horizontal_twiddles_ + 8));
    const vec t220 = wf_splat(*(horizontal_twiddles_ + 9));
    const vec t226 = (t217 * t219) - (t216 * t220);
    *(uvec *)(line_ + 24) = ((t216 * t219) + (t217 * t220));
    *(uvec *)(line_ + 28) = t226;
    const vec t229 = *(const uvec *)(line_ + 0);
    const vec t230 = *(const uvec *)(line_ + 16);
    const vec t231 = *(const uvec *)(line_ + 20);
    const vec t232 = t230 + t230;
    const vec t238 = t232 * ((-0.5f) - (vec){0}) + t229;
    const vec t243 = (t231 + t231) * (0.8660253882408142f - (vec){0});
    const vec t244 = t238 - t243;
    const vec t246 = t238 + t243;
    *(uvec *)(y_ + t198) = (t229 + t232);
    *(uvec *)(y_ + t198 + 8) = t244;
    *(uvec *)(y_ + t198 + 16) = t246;
    const vec t250 = *(const uvec *)(line_ + 8);
    const vec t251 = *(const uvec *)(line_ + 24);
    const vec t252 = *(const uvec *)(line_ + 28);
    const vec t253 = t251 + t251;
    const vec t262 = (t253 * ((-0.5f) - (vec){0}) + t250) - ((t252 + t252) * (0.8660253882408142f - (vec){0}));
    const int32_t t266 = t198 + 4;
    *(uvec *)(y_ + t266) = (t250 + t253);
    *(uvec *)(y_ + t266 + 8) = t262;
  }
}
