import path from 'node:path';

import type { CorruptSample } from '../../data/loader.ts';
import type { EpochReport, StepReport } from '../../train/options.ts';
import { LOG_FILE, appendLog, endLog, readLog } from '../../train/log.ts';
import type { EpochLine, LogLine, StepLine } from '../../train/log.ts';
import type { CommandContext } from '../context.ts';
import { formatPercent } from '../lab/lab-options.ts';
import { openProgress } from '../progress.ts';
import type { Progress } from '../progress.ts';
import { formatNumber, right, tableLines } from '../table.ts';
import { drawCurves } from './plot.ts';

export interface ReportOptions {
  readonly folder: string;
  readonly json: boolean;
  /** Updates between lines of the log. */
  readonly logEvery: number;
  /** Where curves are drawn, if anywhere. */
  readonly plot?: string;
  readonly evaluates: boolean;
  readonly sparse: boolean;
}

/** More damaged images are named by the log alone. */
const DAMAGED_SHOWN = 10;
/** How much of the estimate of an update's time is the last one's. */
const NEWS = 0.1;

/** Tells of a run while it goes on: a bar on standard error, a table or JSON on standard output, and the log. */
export class Reporter {
  readonly #progress: Progress = openProgress();
  readonly #start = performance.now();
  readonly #row: (cells: readonly string[]) => void;
  #waiting: StepReport[] = [];
  #secondsPerStep: number | undefined;
  #damaged = 0;
  #drawing: Promise<void> = Promise.resolve();

  /** @param before seconds that earlier parts of the run have taken */
  constructor(
    readonly context: CommandContext,
    readonly options: ReportOptions,
    readonly before: number,
  ) {
    this.#row = this.#tablePrinter();
    endLog(path.join(options.folder, LOG_FILE));
  }

  /** Seconds of the whole run. */
  get elapsed(): number {
    return this.before + (performance.now() - this.#start) / 1000;
  }

  status(activity: string): void {
    this.#progress.update(activity);
  }

  write(line: LogLine): void {
    appendLog(path.join(this.options.folder, LOG_FILE), [line]);
    if (this.options.json) this.context.print(JSON.stringify(line));
  }

  onStep(report: StepReport): void {
    this.#waiting.push(report);
    const { seconds, step, steps } = report;
    this.#secondsPerStep =
      this.#secondsPerStep === undefined ? seconds : (1 - NEWS) * this.#secondsPerStep + NEWS * seconds;
    const left = formatSeconds((steps - step) * this.#secondsPerStep);
    const facts = [
      `epoch ${report.epoch + 1}, update ${step} of ${steps}`,
      `loss ${formatNumber(report.loss)}`,
      `accuracy ${formatPercent(report.accuracy)}`,
      `${formatNumber(report.images / this.#secondsPerStep)} images/s`,
      `${left} left`,
    ];
    this.#progress.update(facts.join(' · '), step / steps);
    if (step % this.options.logEvery === 0 || step === steps) this.#flush();
  }

  onEpoch(report: EpochReport): void {
    this.#flush();
    const { epoch, epochs, step, loss, accuracy, seconds, validation, density } = report;
    const line: EpochLine = {
      ...{ type: 'epoch', epoch, step, loss, accuracy },
      ...(validation && {
        validation: {
          images: validation.images,
          loss: validation.loss,
          top1: validation.top1,
          top5: validation.top5,
        },
      }),
      ...(density !== undefined && { density }),
      ...{ seconds, elapsed: this.elapsed },
    };
    this.write(line);
    this.#row([
      `${epoch + 1}/${epochs}`,
      loss.toFixed(4),
      formatPercent(accuracy),
      ...(this.options.evaluates
        ? [
            validation?.loss.toFixed(4) ?? '',
            ...(validation ? [formatPercent(validation.top1), formatPercent(validation.top5)] : ['', '']),
          ]
        : []),
      ...(this.options.sparse ? [formatPercent(density ?? 1)] : []),
      formatSeconds(seconds),
    ]);
    this.#draw();
  }

  onCorrupt({ error }: CorruptSample): void {
    this.write({ type: 'corrupt', error });
    if (++this.#damaged > DAMAGED_SHOWN) return;
    this.#progress.clear();
    this.context.warn(error);
  }

  warn(message: string): void {
    this.#progress.clear();
    this.context.warn(message);
  }

  /** Takes the bar away, writes what has not been logged, and waits for the picture. */
  async stop(): Promise<void> {
    this.#progress.stop();
    this.#flush();
    await this.#drawing;
  }

  /** Logs the means of the updates since the last line. */
  #flush(): void {
    const reports = this.#waiting;
    const last = reports.at(-1);
    if (last === undefined) return;
    this.#waiting = [];
    const sum = (value: (report: StepReport) => number): number =>
      reports.reduce((total, report) => total + value(report), 0);
    const { step, steps, epoch, rate, gradientNorm } = last;
    const images = sum((report) => report.images);
    const line: StepLine = {
      ...{ type: 'step', step, steps, epoch },
      loss: sum((report) => report.loss * report.images) / images,
      accuracy: sum((report) => report.accuracy * report.images) / images,
      rate,
      ...(gradientNorm !== undefined && { gradientNorm }),
      imagesPerSecond: images / sum((report) => report.seconds),
    };
    this.write(line);
  }

  #tablePrinter(): (cells: readonly string[]) => void {
    const { json, evaluates, sparse } = this.options;
    const columns = [
      ...['epoch', 'loss', 'accuracy'],
      ...(evaluates ? ['held-back loss', 'top-1', 'top-5'] : []),
      ...(sparse ? ['density'] : []),
      'time',
    ].map(right);
    const { header, line } = tableLines(
      columns,
      columns.map(() => 7),
    );
    let first = true;
    return (cells) => {
      if (json) return;
      this.#progress.clear();
      if (first) this.context.print(header);
      first = false;
      this.context.print(line(cells));
    };
  }

  #draw(): void {
    const { plot, folder } = this.options;
    if (plot === undefined) return;
    this.#drawing = this.#drawing
      .then(async () => {
        await drawCurves(await readLog(path.join(folder, LOG_FILE)), plot, this.context.signal);
      })
      .catch((error: unknown) => {
        // A run of days must not end because of a picture.
        if (!this.context.signal.aborted) this.warn(error instanceof Error ? error.message : String(error));
      });
  }
}

/** `48 s`, `12 min`, `3 h 20 min`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 100) return `${formatNumber(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 100 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
