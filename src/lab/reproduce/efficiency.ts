import { buildModel, findModel } from '../../models/zoo.ts';
import { amdahl, amdahlByKind } from '../amdahl.ts';
import { blockGraph, blockName } from '../block-case.ts';
import type { BlockCase } from '../block-case.ts';
import { kernelCosts, totalCost } from '../costs.ts';
import type { KernelCost } from '../costs.ts';
import { findDevice, opByteRatio, peakOf } from '../devices.ts';
import { efficiencyGap, publishedGapInputs } from '../efficiency.ts';
import { mediantCurve } from '../mediant.ts';
import { plotAmdahl } from '../plots/amdahl.ts';
import { plotBlocks } from '../plots/blocks.ts';
import { plotGap } from '../plots/gap.ts';
import { plotMediant } from '../plots/mediant.ts';
import { plotProjections } from '../plots/projection.ts';
import { digits, percent } from '../plots/style.ts';
import { plotWaterlines } from '../plots/waterline.ts';
import { projectLatency } from '../project.ts';
import {
  blockBounds,
  blockLatencies,
  convfirstSizes,
  imageNetLatencies,
  maxEfficiencies,
  picoLayers,
  projections,
} from '../published.ts';
import { sizeOf } from '../scaling.ts';
import { attainableSeconds, waterline } from '../waterline.ts';
import type { Waterline } from '../waterline.ts';
import { compare, table } from './exhibit.ts';
import type { Comparison, Exhibit } from './exhibit.ts';
import { differences } from './large-kernels.ts';

const BATCH = 128;
const SETTING = 'RTX A5000 at 1.17 GHz, batch 128, f16';

interface Network {
  readonly model: string;
  readonly resolution: number;
  readonly fused: boolean;
}

function device() {
  return findDevice('a5000');
}

function costs({ model, resolution, fused }: Network): KernelCost[] {
  return kernelCosts(buildModel(model, { batch: BATCH, resolution }), { fused });
}

function titleOf({ model, resolution, fused }: Network): string {
  return `${findModel(model).title} at ${resolution}${fused ? ', blocks fused' : ''}`;
}

/** Waterlines of the networks whose highest efficiency is printed: those of `models`. */
export function waterlines(id: string, title: string, models: readonly string[]): Exhibit {
  const rows = maxEfficiencies.rows.filter(({ model }) => models.includes(model));
  const lines = rows.map((row): { title: string; line: Waterline; percent: number } => ({
    title: titleOf(row),
    line: waterline(costs(row), device()),
    percent: row.percent,
  }));
  return {
    id,
    title,
    source: maxEfficiencies.source,
    notes: ['Agreement means within a percentage point.'],
    svg: plotWaterlines(lines, { title, subtitle: [SETTING], source: maxEfficiencies.source }),
    comparisons: lines.map((row) =>
      compare(`${row.title}: highest efficiency`, '%', row.percent, 100 * row.line.maxEfficiency, {
        decimals: 0,
        absolute: 1,
      }),
    ),
    data: lines.map(({ title: network, line }) => ({ network, ...line })),
  };
}

/** One roofline for a whole network against one for each kernel. */
export function mediants(): Exhibit {
  const networks: readonly Network[] = [
    { model: 'resnet-101', resolution: 224, fused: false },
    { model: 'efficientnet-b5', resolution: 456, fused: false },
    { model: 'convnext-small', resolution: 288, fused: false },
    { model: 'convfirst-small', resolution: 256, fused: false },
    { model: 'convfirst-small', resolution: 256, fused: true },
  ];
  const curves = networks.map((network) => ({
    title: titleOf(network),
    points: mediantCurve(costs(network)),
  }));
  const opByte = opByteRatio(device(), 'f16');
  const title = 'Mediant and waterline over op:byte ratios';
  const how = 'solid: one roofline for each kernel (waterline); dashed: one for the whole (mediant)';
  const at = curves.map(({ title: network, points }) => {
    const near = points.reduce((a, b) => (Math.abs(b.opByte - 160) < Math.abs(a.opByte - 160) ? b : a));
    return [network, percent(near.waterline), percent(near.mediant)];
  });
  return {
    id: 'lavin-mediant',
    title,
    source: maxEfficiencies.source,
    notes: ['The figure prints no numbers, so there is nothing to compare.'],
    svg: plotMediant(curves, {
      title,
      subtitle: ['batch 128, f16', how],
      source: maxEfficiencies.source,
      opByte,
    }),
    comparisons: [],
    tables: [table('At op:byte 160', ['network', 'waterline', 'mediant'], at)],
    data: curves,
  };
}

/** What to make compute-bound first. */
export function amdahlRanking(): Exhibit {
  const network = { model: 'efficientnet-b5', resolution: 456, fused: false };
  const line = waterline(costs(network), device());
  const [kinds, steps] = [amdahlByKind(line), amdahl(line)];
  const title = `Amdahl's roofline: ${titleOf(network)}`;
  return {
    id: 'lavin-amdahl',
    title,
    source: maxEfficiencies.source,
    notes: ['The ranking is not printed, so there is nothing to compare.'],
    svg: plotAmdahl(kinds, steps.slice(0, 15), {
      title,
      subtitle: [SETTING],
      source: maxEfficiencies.source,
    }),
    comparisons: [],
    data: { kinds, steps },
  };
}

/** Figures 8 and 12: least latencies of blocks, layer-wise and fused. */
export function blockFigures(): Exhibit {
  const least = (block: BlockCase, fused: boolean): number =>
    1e3 * waterline(kernelCosts(blockGraph({ ...block, batch: BATCH }), { fused }), device()).minLatencyMs;
  const rows = blockBounds.rows.map((row) => ({
    ...row,
    name: `${row.kind === 'convfirst' ? 'ConvFirst' : 'MBConv'} ${blockName(row)}`,
    computed: { layerWiseUs: least(row, false), fusedUs: least(row, true) },
  }));
  const title = 'Least latency of blocks, layer-wise and fused (Figures 8 and 12)';
  return {
    id: 'lavin-block-bounds',
    title,
    source: blockBounds.source,
    notes: [
      'Agreement means within 0.5%, or the printed microsecond.',
      'The fused MBConv block of 144 channels takes 44.45 µs and is printed as 45. The nearest time that prints as 45 is 44.5, 0.1% more. No convention explains that: the printed times of the other fused blocks that are bound by arithmetic leave peak rates from 76.65 to 76.69 TFLOP/s (the device has 76.68), and 45 needs at most 76.58; an operation more for each bias makes it 44.6, but 256 channels 513 instead of 512, and ConvFirst 48c6α64hw 428 instead of 425.',
    ],
    svg: plotBlocks(
      rows.map(({ name, computed }) => ({
        block: name,
        times: [
          { what: 'layer-wise', us: computed.layerWiseUs },
          { what: 'fused', us: computed.fusedUs },
        ],
      })),
      { title, subtitle: [SETTING], source: blockBounds.source },
    ),
    comparisons: rows.flatMap(({ name, layerWiseUs, fusedUs, computed }) => [
      compare(`${name}, layer-wise`, 'µs', layerWiseUs, computed.layerWiseUs, {
        decimals: 0,
        relative: 0.005,
      }),
      compare(`${name}, fused`, 'µs', fusedUs, computed.fusedUs, { decimals: 0, relative: 0.005 }),
    ]),
    data: rows,
  };
}

/** Tables 1 and 2: measured blocks beside their least times; their share of the peak follows from the operations. */
export function blockTables(): Exhibit {
  const peak = peakOf(device(), 'f16');
  const rows = blockLatencies.rows.map((row) => {
    const { ops, bytes } = totalCost(kernelCosts(blockGraph({ ...row, batch: BATCH }), { fused: true }));
    const seconds = attainableSeconds({ ops, bytes }, peak, device().bandwidth);
    return {
      ...row,
      name: `${row.kind === 'convfirst' ? 'ConvFirst' : 'MBConv'} ${blockName(row)}, ${row.blocks} block${row.blocks > 1 ? 's' : ''}`,
      leastMs: 1e3 * row.blocks * seconds,
      computedPercent: (1e5 * row.blocks * ops) / (peak * row.fusedMs),
    };
  });
  const title = 'Measured blocks beside their least times (Tables 1 and 2)';
  const { source, setting } = blockLatencies;
  return {
    id: 'lavin-block-times',
    title,
    source,
    notes: [
      'Published times were measured and cannot be computed. Their share of the peak can: operations counted here over the published time. Agreement means 0.2%, or what the rounding of both leaves open.',
    ],
    svg: plotBlocks(
      rows.map(({ name, inductorMs, fusedMs, leastMs }) => ({
        block: name,
        times: [
          { what: 'Inductor, measured', us: 1e3 * inductorMs },
          { what: 'fused, measured', us: 1e3 * fusedMs },
          { what: 'fused, at least', us: 1e3 * leastMs },
        ],
      })),
      { title, subtitle: [setting], source },
    ),
    comparisons: rows.map(({ name, percentOfPeak, computedPercent, fusedMs }) =>
      compare(`${name}: share of the peak`, '%', percentOfPeak, computedPercent, {
        decimals: 1,
        relative: Math.max(0.002, 0.005 / fusedMs + 0.05 / percentOfPeak),
      }),
    ),
    tables: [
      table(
        'Milliseconds',
        ['block', 'Inductor, published', 'fused, published', 'fused, at least', 'share of the least time'],
        rows.map((row) => [
          row.name,
          ...[row.inductorMs, row.fusedMs].map((ms) => ms.toFixed(2)),
          digits(row.leastMs),
          percent(row.leastMs / row.fusedMs),
        ]),
      ),
    ],
    data: rows,
  };
}

/** ConvFirstNet's sizes. */
export function convfirstTables(): Exhibit {
  const { source, setting, rows } = convfirstSizes;
  const sizes = rows.map((row) => ({ ...row, ...sizeOf(buildModel(row.name, { resolution: 256 })) }));
  const comparisons = sizes.flatMap(({ name, parametersM, gmacs, parameters, macs }) => [
    compare(`${name}: parameters`, 'M', parametersM, parameters / 1e6, { decimals: 2, relative: 0.005 }),
    compare(`${name}: multiply-accumulates`, 'G', gmacs, macs / 1e9, { decimals: 3, relative: 0.001 }),
  ]);
  const title = 'ConvFirstNet: sizes';
  return {
    id: 'lavin-convfirst-sizes',
    title,
    source,
    notes: ['Agreement means 0.5% of the parameters and 0.1% of the multiply-accumulates.'],
    svg: differences(comparisons, { title, subtitle: [setting], source }),
    comparisons,
    data: sizes,
  };
}

/** Table 4 and the efficiency-gap plot. */
export function gapTable(): Exhibit {
  const { source, setting, rows } = imageNetLatencies;
  const points = efficiencyGap(publishedGapInputs(), device());
  const comparisons = rows.flatMap((row, i): Comparison[] => {
    const { parameters, macs } = sizeOf(buildModel(row.model, { resolution: row.resolution }));
    const rounding = 0.05 / row.latencyMs + 0.05 / row.percentOfPeak;
    return [
      compare(`${row.title}: parameters`, 'M', row.parametersM, parameters / 1e6, { decimals: 1 }),
      compare(`${row.title}: multiply-accumulates`, 'G', row.gmacs, macs / 1e9, { decimals: 1 }),
      compare(`${row.title}: share of the peak`, '%', row.percentOfPeak, 100 * (points[i]?.efficiency ?? 0), {
        decimals: 1,
        relative: rounding,
      }),
    ];
  });
  const title = 'The efficiency gap (Table 4)';
  return {
    id: 'lavin-efficiency-gap',
    title,
    source,
    notes: [
      'Accuracies and latencies were measured and cannot be computed; ideal latencies and shares of the peak follow from the operations.',
      'Resolutions of EfficientNets are not printed: they are those whose operations come nearest to the table.',
      'The published shares of EfficientNets are up to 5%, those of ConvNeXts up to 1.2% above operations over time, as if more were counted than multiply-accumulates of convolutions and linear layers; the reason is not stated.',
    ],
    svg: plotGap(points, { title, subtitle: [setting], source }),
    comparisons,
    data: points,
  };
}

/** The speed projection of Tables 5 to 9. */
export function projectionTables(): Exhibit {
  const { source, setting, rows } = projections;
  const results = rows.map((row) => {
    const { title } = findModel(row.model);
    const efficiencies = row.efficiencies?.map((each) => each / 100);
    const options = efficiencies === undefined ? {} : { efficiencies };
    return {
      ...row,
      title,
      publishedMs: row.latencyMs,
      projection: projectLatency(row.model, device(), options),
    };
  });
  const own = rows.map(({ model }) => ({ model, ...projectLatency(model, device()) }));
  const pico = own.find(({ model }) => model === 'convfirst-pico')?.layers ?? [];
  const opsOf = (name: string): number => pico.find((layer) => layer.name === name)?.megaOpsPerImage ?? 0;
  const body = pico.filter(({ name }) => !/^(head|classifier)\b/.test(name));
  const layers = picoLayers.rows.flatMap(({ layers: names, what, megaOps }) =>
    names.map((name) =>
      compare(`Pico, ${what}: operations`, 'M', megaOps, opsOf(name), { decimals: 2, relative: 1e-3 }),
    ),
  );
  const total = body.reduce((sum, layer) => sum + layer.megaOpsPerImage, 0);
  const title = 'Speed projection (Tables 5 to 9)';
  return {
    id: 'lavin-projection',
    title,
    source,
    notes: [
      'Pico and Small take the efficiencies that the tables print. Nano and Tiny are not printed layer by layer: 39% for MBConv blocks of 160 and 192 channels was inferred from their totals, so these two totals check nothing.',
    ],
    svg: plotProjections(
      own.map((projection, i) => ({
        ...projection,
        title: results[i]?.title ?? projection.model,
        publishedMs: results[i]?.publishedMs ?? 0,
      })),
      { title, subtitle: [setting], source },
    ),
    comparisons: [
      ...results.flatMap(({ title: network, latencyMs, percentOfPeak, projection }) => [
        compare(`${network}: latency`, 'ms', latencyMs, projection.latencyMs, {
          decimals: latencyMs < 10 ? 2 : 1,
        }),
        compare(`${network}: share of the peak`, '%', percentOfPeak, 100 * projection.efficiency, {
          decimals: 1,
        }),
      ]),
      ...layers,
      compare('Pico, all but the head: operations', 'M', picoLayers.bodyMegaOps, total, {
        decimals: 1,
        relative: 1e-3,
      }),
    ],
    data: own,
  };
}
