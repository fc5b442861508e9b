import { appendFileSync, existsSync, readFileSync } from 'node:fs';

import { WidefieldError, invalidArgument } from '../core/errors.ts';
import { readRegularFile } from '../core/regular-file.ts';

/** The log of a run within its folder: JSON objects, one a line. */
export const LOG_FILE = 'log.jsonl';

/** Means since the line before. */
export interface StepLine {
  readonly type: 'step';
  readonly step: number;
  readonly steps: number;
  /** From 0. */
  readonly epoch: number;
  readonly loss: number;
  readonly accuracy: number;
  readonly rate: number;
  readonly gradientNorm?: number;
  readonly imagesPerSecond: number;
}

export interface EpochLine {
  readonly type: 'epoch';
  /** From 0. */
  readonly epoch: number;
  /** Updates done. */
  readonly step: number;
  readonly loss: number;
  readonly accuracy: number;
  readonly validation?: {
    readonly images: number;
    readonly loss: number;
    readonly top1: number;
    readonly top5: number;
  };
  readonly density?: number;
  /** Of this epoch, evaluation left out. */
  readonly seconds: number;
  /** Of the whole run, all its parts. */
  readonly elapsed: number;
}

/** Other things that happen: where a run begins, stops, goes on and ends. */
export interface EventLine {
  readonly type: 'config' | 'resume' | 'stop' | 'corrupt' | 'end';
  readonly [fact: string]: unknown;
}

export type LogLine = StepLine | EpochLine | EventLine;

/** What a log says of the last run that began there: what was done again after a checkpoint stands there once. */
export interface TrainLog {
  readonly steps: readonly StepLine[];
  readonly epochs: readonly EpochLine[];
  readonly events: readonly EventLine[];
  /** Seconds that the run has taken so far. */
  readonly elapsed: number;
}

/** Adds lines to a log's end. Throws `io` if that fails. */
export function appendLog(file: string, lines: readonly LogLine[]): void {
  append(file, () => lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
}

/** Breaks a last line off that is not whole, since the machine stopped: the next one would be lost with it. Throws `io`. */
export function endLog(file: string): void {
  append(file, () => (!existsSync(file) || (readFileSync(file).at(-1) ?? NEWLINE) === NEWLINE ? '' : '\n'));
}

const NEWLINE = 0x0a;

function append(file: string, text: () => string): void {
  try {
    appendFileSync(file, text());
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new WidefieldError('io', `The log ${file} cannot be written: ${reason}.`, { cause: error });
  }
}

/** Reads a log. A line that is not whole, since the machine stopped, is left out. Throws `io`, `invalid-argument`. */
export async function readLog(file: string): Promise<TrainLog> {
  let text: string;
  try {
    text = (await readRegularFile(file)).toString('utf8');
  } catch (error) {
    throw new WidefieldError('io', `There is no log ${file}: name the folder of a run.`, { cause: error });
  }
  const lines = text.split('\n').flatMap((line) => parseLine(line) ?? []);
  if (lines.length === 0) throw invalidArgument(`${file} is no log of a training run.`);
  let steps: StepLine[] = [];
  let epochs: EpochLine[] = [];
  let events: EventLine[] = [];
  let elapsed = 0;
  for (const line of lines) {
    // A run that stopped before its first checkpoint was begun anew.
    if (line.type === 'config') [steps, epochs, events, elapsed] = [[], [], [], 0];
    if (typeof line.elapsed === 'number') elapsed = line.elapsed;
    if (line.type === 'step') {
      const { step } = line as StepLine;
      if (step <= (steps.at(-1)?.step ?? 0)) {
        steps = steps.filter((one) => one.step < step);
        epochs = epochs.filter((one) => one.step < step);
      }
      steps.push(line);
    } else if (line.type === 'epoch') {
      const { epoch } = line;
      epochs = [...epochs.filter((one) => one.epoch < epoch), line];
    } else {
      events.push(line);
    }
  }
  return { steps, epochs, events, elapsed };
}

function parseLine(line: string): (LogLine & { readonly elapsed?: unknown }) | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && 'type' in value ? (value as LogLine) : undefined;
  } catch {
    return undefined;
  }
}
