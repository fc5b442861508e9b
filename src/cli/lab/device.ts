import { Command } from 'commander';

import { defaultDeviceFile, saveThisDevice } from '../../lab/device-store.ts';
import { deviceRecords } from '../../lab/device-records.ts';
import type { DeviceMeasurement, DeviceRecord } from '../../lab/devices.ts';
import { THIS_DEVICE, measureDevice, thisDevice } from '../../lab/measure-device.ts';
import { openDevice } from '../../runtime/open.ts';
import type { CommandContext } from '../context.ts';
import { defaultThreads } from '../options.ts';
import { openProgress } from '../progress.ts';
import { formatNumber, right } from '../table.ts';
import { resolveDevice } from './lab-options.ts';
import { present, withOutputOptions } from './present.ts';
import type { LabTable, OutputOptions } from './present.ts';

interface DeviceCommandOptions extends OutputOptions {
  readonly list?: boolean;
}

/** `widefield lab device`: measure this machine, or show a record. */
export function deviceCommand(context: CommandContext): Command {
  const { warn, signal } = context;
  const command = new Command('device')
    .description('measure this machine and keep its record, or show the record of a device')
    .argument('[name]', 'a device on record, "this" as it was measured, or a .json file')
    .option('--list', 'all devices on record');
  return withOutputOptions(command)
    .addHelpText(
      'after',
      '\nExamples:\n  widefield lab device\n  widefield lab device a5000\n  widefield lab device --list',
    )
    .action(async (name: string | undefined, options: DeviceCommandOptions) => {
      if (options.list === true) {
        await present(context, options, {
          json: deviceRecords,
          tables: [listTable(deviceRecords)],
          plot: async () => {
            const { plotDevices } = await import('../../lab/plots/devices.ts');
            const source = 'Sources of all figures: widefield lab device --list --json';
            return plotDevices(deviceRecords, { title: 'Devices on record', source });
          },
        });
        return;
      }
      const record = name === undefined ? await measureThis(signal) : await resolveDevice(name, context);
      try {
        await present(context, options, {
          json: record,
          tables: [recordTable(record)],
          plot: async () => {
            const { plotDevice } = await import('../../lab/plots/devices.ts');
            const bandwidth = `DRAM ${formatNumber(record.bandwidth / 1e9)} GB/s`;
            const source = Object.entries(record.sources).map(([figure, from]) => `${figure}: ${from}`);
            return plotDevice(record, { title: record.title, subtitle: [bandwidth, ...source] });
          },
        });
      } finally {
        // Shown first, and kept even without a picture: nothing that was measured is lost.
        if (name === undefined) {
          await saveThisDevice(record);
          warn(`Kept in ${await defaultDeviceFile()}; analyses know it as --device ${THIS_DEVICE}.`);
        }
      }
    });
}

/** With one thread and with all. */
async function measureThis(signal: AbortSignal): Promise<DeviceRecord> {
  const counts = [...new Set([1, defaultThreads()])];
  const measurements: DeviceMeasurement[] = [];
  const progress = openProgress();
  let how = '';
  try {
    for (const [done, threads] of counts.entries()) {
      progress.update(
        `measuring with ${threads} ${threads === 1 ? 'thread' : 'threads'}`,
        done / counts.length,
      );
      const device = await openDevice('auto', { threads, signal });
      try {
        how = device.note;
        measurements.push(await measureDevice(device, { signal }));
      } finally {
        await device.dispose();
      }
    }
  } finally {
    progress.stop();
  }
  return thisDevice(measurements, how);
}

function listTable(records: readonly DeviceRecord[]): LabTable {
  const rate = (value: number | undefined): string => (value === undefined ? '' : formatNumber(value / 1e12));
  return {
    columns: [
      { title: 'name' },
      { title: 'device' },
      right('f32 TFLOP/s'),
      right('f16 TFLOP/s'),
      right('GB/s'),
      { title: 'not confirmed' },
    ],
    rows: records.map(({ name, title, peak, bandwidth, unconfirmed = [] }) => [
      name,
      title,
      rate(peak.f32),
      rate(peak.f16),
      formatNumber(bandwidth / 1e9),
      unconfirmed.join(', '),
    ]),
    notes: [
      'Where each figure comes from: widefield lab device NAME. Not confirmed: nobody could compare it with its source.',
    ],
  };
}

function recordTable(record: DeviceRecord): LabTable {
  const { title, peak, bandwidth, units, clock, caches = [], measurements = [] } = record;
  const sourceOf = (figure: string, group = figure): string =>
    `${record.sources[group] ?? ''}${record.unconfirmed?.includes(figure) === true ? ' (not confirmed)' : ''}`;
  const gb = (value: number): string => `${formatNumber(value / 1e9)} GB/s`;
  const rows = [
    ...Object.entries(peak).map(([dtype, rate]) => [
      `peak ${dtype}`,
      `${formatNumber(rate / 1e9)} GFLOP/s`,
      sourceOf(`peak.${dtype}`, 'peak'),
    ]),
    ['bandwidth', gb(bandwidth), sourceOf('bandwidth')],
    ...Object.entries(peak).map(([dtype, rate]) => [`op:byte ${dtype}`, formatNumber(rate / bandwidth), '']),
    ...(units === undefined ? [] : [['units', String(units), sourceOf('units')]]),
    ...(clock === undefined ? [] : [['clock', `${formatNumber(clock / 1e9)} GHz`, sourceOf('clock')]]),
    ...caches.map((cache) => [
      cache.name,
      `${formatNumber(cache.bytes / 2 ** 20)} MiB${cache.bandwidth === undefined ? '' : `, ${gb(cache.bandwidth)}`}`,
      sourceOf('caches'),
    ]),
    ...measurements.map((each) => [
      `${each.threads} ${each.threads === 1 ? 'thread' : 'threads'}`,
      `${formatNumber(each.peak / 1e9)} GFLOP/s`,
      `read ${gb(each.readBandwidth)}, copy ${gb(each.copyBandwidth)}, triad ${gb(each.triadBandwidth)}`,
    ]),
  ];
  return { title, columns: [{ title: '' }, { title: '' }, { title: '' }], rows };
}
