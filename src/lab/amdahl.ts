import type { Waterline, WaterlineKernel } from './waterline.ts';

/** What the whole network gains if a memory-bound kernel, or several, ran at the peak rate. */
export interface AmdahlStep {
  readonly name: string;
  readonly kind: WaterlineKernel['kind'];
  /** How many kernels the step covers. */
  readonly count: number;
  /** Share of the time that their bytes take: b / (B·T). */
  readonly memoryShare: number;
  /** Share that their operations would take: n / (R·T). */
  readonly computeShare: number;
  /** 1 / (1 − memoryShare + computeShare). */
  readonly speedup: number;
}

/** Amdahl's roofline (Lavin 2024): for each memory-bound kernel, the speed-up of making it compute-bound; largest first. */
export function amdahl(line: Waterline): AmdahlStep[] {
  return ranked(underwater(line).map((kernel) => stepOf(line, kernel.name, [kernel])));
}

/** The same for all memory-bound kernels of a kind at once. */
export function amdahlByKind(line: Waterline): AmdahlStep[] {
  const kernels = underwater(line);
  const kinds = [...new Set(kernels.map(({ kind }) => kind))];
  return ranked(
    kinds.map((kind) =>
      stepOf(
        line,
        `all ${kind}`,
        kernels.filter((kernel) => kernel.kind === kind),
      ),
    ),
  );
}

function underwater(line: Waterline): readonly WaterlineKernel[] {
  return line.kernels.filter((kernel) => kernel.underwater);
}

function stepOf(line: Waterline, name: string, kernels: readonly WaterlineKernel[]): AmdahlStep {
  const totalUs = 1e3 * line.minLatencyMs;
  const kernelUs = kernels.reduce((sum, { timeUs }) => sum + timeUs, 0);
  const ops = kernels.reduce((sum, kernel) => sum + kernel.ops, 0);
  // maxEfficiency = ops / (R·T), so n / (R·T) is the kernels' share of all operations times that.
  const computeShare = (ops / line.ops) * line.maxEfficiency;
  const memoryShare = kernelUs / totalUs;
  const speedup = 1 / (1 - memoryShare + computeShare);
  return {
    name,
    kind: kernels[0]?.kind ?? 'conv',
    count: kernels.length,
    memoryShare,
    computeShare,
    speedup,
  };
}

function ranked(steps: readonly AmdahlStep[]): AmdahlStep[] {
  return [...steps].sort((a, b) => b.speedup - a.speedup);
}
