import type { BenchReport } from '../../src/bench/report.ts';

/** What a report of a benchmark says of the machine. */
export const BENCH_MACHINE: BenchReport['machine'] = {
  cpu: 'A processor',
  cores: 2,
  memoryMiB: 1024,
  os: 'Linux',
  node: '20.0.0',
  widefield: '0.1.0',
  threads: 2,
  devices: { 'widefield-native': 'cc, 16 lanes' },
  versions: { 'onnxruntime-node': '1.30.0' },
  date: '2026-01-01T00:00:00.000Z',
};
