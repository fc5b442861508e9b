import { findDevice } from '../devices.ts';
import { largeKernelStudy } from '../large-kernels.ts';
import { plotDifferences } from '../plots/differences.ts';
import { plotLargeKernels } from '../plots/roofline.ts';
import { plotScaling } from '../plots/scaling.ts';
import { digits, percent } from '../plots/style.ts';
import { plotDepthwise, plotThroughput } from '../plots/throughput.ts';
import {
  depthwiseLatencies,
  largeKernelFigures,
  replknetSizes,
  slakSizes,
  throughputs,
} from '../published.ts';
import { kernelScaling, sizeOf, slakTables } from '../scaling.ts';
import { depthwiseBounds, throughputBounds } from '../throughput.ts';
import { buildModel } from '../../models/zoo.ts';
import { compare, table } from './exhibit.ts';
import type { Comparison, Exhibit } from './exhibit.ts';

/** MegEngine's arithmetic: dense, im2col and direct convolutions under the roofline of the RTX 2080 Ti. */
export function megengineRoofline(): Exhibit {
  const device = findDevice('rtx-2080-ti');
  const study = largeKernelStudy(device);
  const { source, setting, rows } = largeKernelFigures;
  const smallest = study.direct.find(({ kernel, pass }) => kernel === 3 && pass === 'forward');
  const [single, , limit] = study.im2col;
  const computed: Record<(typeof rows)[number]['name'], number> = {
    peak: study.peak / 1e12,
    ridge: study.ridge,
    'dense, 32×32 blocks': study.dense.intensity,
    'im2col, BN = 1': single?.intensity ?? 0,
    'im2col, at most': limit?.intensity ?? 0,
    'direct 3×3, tile of 4×32': smallest?.intensity ?? 0,
    'direct 3×3, tile of 4×32, at most': (smallest?.attainable ?? 0) / 1e12,
  };
  const title = 'Large depthwise kernels under the roofline';
  return {
    id: 'megengine-roofline',
    title,
    source,
    notes: [
      'The study cuts digits off where it might round: 13.4477 TFLOP/s is printed as 13.447, 6.2258 as 6.225.',
      `Direct kernels are bound by arithmetic from ${study.computeBoundFrom ?? 'no size'}×${study.computeBoundFrom ?? ''} on; until then time hardly grows.`,
    ],
    svg: plotLargeKernels(study, { title, subtitle: [setting], source }),
    comparisons: rows.map(({ name, unit, value, decimals }) =>
      compare(name, unit, value, computed[name], { decimals, relative: 2e-4 }),
    ),
    data: { device, ...study },
  };
}

/** RepLKNet's sizes, and what growing kernels adds. */
export function replknetTables(): Exhibit {
  const { source, setting, rows, growth } = replknetSizes;
  const size = (model: string, resolution: number) => sizeOf(buildModel(model, { resolution, deploy: true }));
  const sizes = rows.flatMap(({ name, model, resolution, parametersM, gmacs }): Comparison[] => {
    const { parameters, macs } = size(model, resolution);
    return [
      compare(`${name}: parameters`, 'M', parametersM, parameters / 1e6, { decimals: 0, relative: 0.01 }),
      compare(`${name}: multiply-accumulates`, 'G', gmacs, macs / 1e9, { decimals: 1, relative: 0.005 }),
    ];
  });
  const [small, large] = [size(growth.from, 224), size(growth.to, 224)];
  const grown = (of: 'parameters' | 'macs'): number => 100 * (large[of] / small[of] - 1);
  const comparisons = [
    ...sizes,
    compare('from 3-3-3-3 to 31-29-27-13: more multiply-accumulates', '%', growth.macs, grown('macs'), {
      decimals: 1,
    }),
    compare('from 3-3-3-3 to 31-29-27-13: more parameters', '%', growth.parameters, grown('parameters'), {
      decimals: 1,
    }),
  ];
  const title = 'RepLKNet: sizes';
  return {
    id: 'replknet-sizes',
    title,
    source,
    notes: [
      'The depthwise share of the latency, 49.5% with a library and 12.3% with an efficient kernel, was measured, and so were the accuracies: neither can be computed.',
    ],
    svg: differences(comparisons, { title, subtitle: [setting], source }),
    comparisons,
    data: { sizes: rows.map(({ name, model, resolution }) => ({ name, ...size(model, resolution) })) },
  };
}

/** SLaK's Tables 1, 2, 3 and 8. */
export function slakSizeTables(): Exhibit {
  const { source, setting } = slakSizes;
  const tables = slakTables();
  const comparisons = tables.flatMap(({ name, published, parameters, macs }) => [
    compare(`${name}: parameters`, 'M', published.parametersM, parameters / 1e6, { decimals: 0 }),
    compare(`${name}: multiply-accumulates`, 'G', published.gmacs, macs / 1e9, { decimals: 1 }),
  ]);
  const title = 'SLaK: sizes of Tables 1, 2, 3 and 8';
  return {
    id: 'slak-sizes',
    title,
    source,
    notes: [
      'Agreement means the printed precision, which here is a million parameters or a tenth of a GMAC.',
      'Sparse networks are counted here as the share 1 − s of the dense ones. The paper counts what its masks leave, layer by layer, and these follow from the gradients that SNIP saw; so its multiply-accumulates are up to 7% fewer.',
      'Full kernels of 31-29-27-13 are printed with 6.5 GMAC; here they have 6.2, while kernels of 51 and 61 agree; the reason is not known. Other dense networks that differ are off by less than a unit of the last printed digit.',
    ],
    svg: differences(comparisons, { title, subtitle: [setting], source }),
    comparisons,
    data: tables,
  };
}

/** SLaK's Figure 4, left: sizes over the kernel. It prints no numbers. */
export function slakScaling(): Exhibit {
  const sweep = kernelScaling();
  const title = 'SLaK: what large kernels cost, full and decomposed (Figure 4)';
  return {
    id: 'slak-scaling',
    title,
    source: slakSizes.source,
    notes: ['The figure prints no numbers, so there is nothing to compare.'],
    svg: plotScaling(sweep, { title, subtitle: [slakSizes.setting], source: slakSizes.source }),
    comparisons: [],
    tables: [
      table(
        'Computed',
        ['kernels', 'full M', 'GMAC', 'decomposed M', 'GMAC', 'sparse M', 'GMAC'],
        sweep.map(({ kernels, full, decomposed, sparse }) => [
          kernels.join('-'),
          ...[full, decomposed, sparse].flatMap(({ parameters, macs }) => [
            (parameters / 1e6).toFixed(1),
            (macs / 1e9).toFixed(2),
          ]),
        ]),
      ),
    ],
    data: sweep,
  };
}

/** SLaK's Figure 4, right: one layer's measured times beside their lower bounds. */
export function slakDepthwise(): Exhibit {
  const device = findDevice('a100');
  const rows = depthwiseBounds(device);
  const { source, setting } = depthwiseLatencies;
  const title = 'SLaK: one depthwise layer, measured and at least (Figure 4)';
  return {
    id: 'slak-depthwise',
    title,
    source,
    notes: [
      'Published times were measured and cannot be computed; beside them stand the least times by the roofline in float32.',
      'Direct convolution needs all the operations; a transform needs fewer, so its times may be below the line of the full kernel.',
    ],
    svg: plotDepthwise(rows, { title, subtitle: [setting], source }),
    comparisons: [],
    tables: [
      table(
        'Milliseconds',
        ['R', '51×51 published', 'at least', 'ratio', '51×5 + 5×51 published', 'at least', 'ratio'],
        rows.map((row) => [
          String(row.size),
          ...[digits(row.fullMs), digits(row.fullBoundMs), `×${digits(row.fullMs / row.fullBoundMs)}`],
          ...[digits(row.decomposedMs), digits(row.decomposedBoundMs)],
          `×${digits(row.decomposedMs / row.decomposedBoundMs)}`,
        ]),
      ),
    ],
    data: { device, rows },
  };
}

/** SLaK's Tables 11 and 12: throughputs beside their upper bounds. */
export function slakThroughput(): Exhibit {
  const device = findDevice('a100');
  const rows = throughputBounds(device);
  const { source, setting } = throughputs;
  const title = 'SLaK: throughput, measured and at most (Tables 11 and 12)';
  return {
    id: 'slak-throughput',
    title,
    source,
    notes: [
      'Published throughputs were measured and cannot be computed; beside them stand the most that layer-wise execution can attain by the waterline in float32.',
      'Masked weights are multiplied all the same, so sparsity changes neither.',
    ],
    svg: plotThroughput(rows, { title, subtitle: [setting], source }),
    comparisons: [],
    tables: [
      table(
        'Images a second',
        ['network', 'published', 'at most', 'share'],
        rows.map((row) => [row.title, String(row.measured), digits(row.bound), percent(row.share)]),
      ),
    ],
    data: { device, rows },
  };
}

/** Comparisons as a picture. */
export function differences(
  comparisons: readonly Comparison[],
  text: { readonly title: string; readonly subtitle: readonly string[]; readonly source: string },
): string {
  const rows = comparisons.map(({ name, unit, published, computed, difference, agrees }) => ({
    name,
    difference,
    agrees,
    text: `${Number(computed.toPrecision(4))} for ${published} ${unit}`,
  }));
  return plotDifferences(rows, text);
}
