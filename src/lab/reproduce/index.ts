import type { Exhibit } from './exhibit.ts';
import {
  amdahlRanking,
  blockFigures,
  blockTables,
  convfirstTables,
  gapTable,
  mediants,
  projectionTables,
  waterlines,
} from './efficiency.ts';
import {
  megengineRoofline,
  replknetTables,
  slakDepthwise,
  slakScaling,
  slakSizeTables,
  slakThroughput,
} from './large-kernels.ts';
import { tensorMachines } from './tensor-machines.ts';

/** An exhibit that is yet to be computed. */
export interface ExhibitPlan {
  readonly id: string;
  readonly create: () => Exhibit;
}

/** All tables and figures of the papers that need no training, in the order of the report. */
export function exhibitPlans(): ExhibitPlan[] {
  const baselines = ['resnet-101', 'efficientnet-b5'];
  return [
    { id: 'megengine-roofline', create: megengineRoofline },
    { id: 'replknet-sizes', create: replknetTables },
    { id: 'slak-sizes', create: slakSizeTables },
    { id: 'slak-scaling', create: slakScaling },
    { id: 'slak-depthwise', create: slakDepthwise },
    { id: 'slak-throughput', create: slakThroughput },
    {
      id: 'lavin-waterline-baselines',
      create: () =>
        waterlines('lavin-waterline-baselines', 'Waterline: ResNet-101 and EfficientNet-B5', baselines),
    },
    {
      id: 'lavin-waterline-convfirst',
      create: () =>
        waterlines('lavin-waterline-convfirst', 'Waterline: ConvFirst-Small, layer-wise and fused', [
          'convfirst-small',
        ]),
    },
    { id: 'lavin-mediant', create: mediants },
    { id: 'lavin-amdahl', create: amdahlRanking },
    { id: 'lavin-block-bounds', create: blockFigures },
    { id: 'lavin-block-times', create: blockTables },
    { id: 'lavin-convfirst-sizes', create: convfirstTables },
    { id: 'lavin-efficiency-gap', create: gapTable },
    { id: 'lavin-projection', create: projectionTables },
    ...tensorMachines(),
  ];
}
