import { Command } from 'commander';

import { packageVersion } from '../../bench/machine.ts';
import { throwIfAborted } from '../../core/errors.ts';
import type { Agreement } from '../../lab/reproduce/report.ts';
import type { Exhibit } from '../../lab/reproduce/exhibit.ts';
import type { CommandContext } from '../context.ts';
import { openProgress } from '../progress.ts';
import { formatTable, right } from '../table.ts';
import { writeFolder } from './new-folder.ts';
import { renderPng } from './present.ts';

interface ReproduceOptions {
  readonly out: string;
  readonly json?: boolean;
}

const DEFAULT_FOLDER = 'widefield-lab';
const GENERATOR = 'widefield lab reproduce';
const REPORT = 'index.html';

/** `widefield lab reproduce`: the papers' tables and figures, computed again. */
export function reproduceCommand({ print, warn, signal }: CommandContext): Command {
  return new Command('reproduce')
    .description('compute the tables and figures of the papers again, into a folder with a report')
    .option('--out <folder>', 'where to write them; a folder that it made before is replaced', DEFAULT_FOLDER)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `\nEach exhibit becomes an SVG, a PNG and a JSON file; ${REPORT} has all of them, published and computed side by side.`,
    )
    .action(async ({ out, json }: ReproduceOptions) => {
      // Loaded only now: plots need a library that other commands do without.
      const { exhibitPlans } = await import('../../lab/reproduce/index.ts');
      const { agreementOf, reportPage } = await import('../../lab/reproduce/report.ts');
      const plans = exhibitPlans();
      const exhibits: Exhibit[] = [];
      const progress = openProgress();
      const start = performance.now();
      try {
        await writeFolder(out, GENERATOR, async (write) => {
          for (const [done, { id, create }] of plans.entries()) {
            progress.update(id, done / plans.length);
            // Lets Ctrl-C through.
            await new Promise((resolve) => setImmediate(resolve));
            throwIfAborted(signal);
            const exhibit = create();
            exhibits.push(exhibit);
            const { svg, ...record } = exhibit;
            await write(`${id}.svg`, svg);
            await write(`${id}.png`, await renderPng(svg));
            await write(`${id}.json`, `${JSON.stringify(record, undefined, 2)}\n`);
          }
          await write(REPORT, reportPage(exhibits, packageVersion()));
        });
      } finally {
        progress.stop();
      }
      const agreement = agreementOf(exhibits);
      const seconds = (performance.now() - start) / 1e3;
      const files = exhibits.map(({ id, title, source }) => ({ id, title, source }));
      print(
        json === true
          ? JSON.stringify(
              { folder: out, report: REPORT, seconds, ...agreement, exhibits: files },
              undefined,
              2,
            )
          : format(agreement),
      );
      warn(`${exhibits.length} exhibits are in ${out}: open ${out}/${REPORT}.`);
    });
}

function format({ compared, agreeing, misses }: Agreement): string {
  const rows = misses.map(({ exhibit, name, published, computed, unit, difference }) => [
    exhibit,
    name,
    String(published),
    String(Number(computed.toPrecision(4))),
    unit,
    `${difference > 0 ? '+' : '-'}${(100 * Math.abs(difference)).toFixed(2)}%`,
  ]);
  const columns = [
    { title: 'differs' },
    { title: 'figure' },
    right('published'),
    right('computed'),
    { title: '' },
  ];
  const table = formatTable([...columns, right('difference')], rows);
  const summary = `${agreeing} of ${compared} published figures agree.`;
  return misses.length === 0 ? summary : `${table}\n\n${summary}`;
}
