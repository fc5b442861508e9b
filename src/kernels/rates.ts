import type { DeviceCaps } from '../core/caps.ts';

/** Cycles in which a core begins one multiply-add of so many lanes, or any other arithmetic on them. */
export function multiplyAddCycles(lanes: number, caps: DeviceCaps): number {
  return lanes > caps.fullRateLanes ? 1 : 0.5;
}
