import { largest } from '../../core/largest.ts';
import type { EpochLine, StepLine, TrainLog } from '../../train/log.ts';
import { accuracyPanel } from './accuracy.ts';
import { curvePanel } from './curves.ts';
import type { Curve } from './curves.ts';
import { WIDTH, drawFigure } from './figure.ts';
import type { FigureText, Panel } from './figure.ts';

const HEIGHT = 250;
/** Points of a curve: more cannot be told apart. */
const POINTS = 240;

/**
 * Loss, accuracy and learning rate of a run over its epochs. Training's curves are means over stretches of the run; its
 * loss is that against smoothed, mixed or taught targets, while validation's is against labels.
 *
 * Throws `invalid-argument` if nothing has been logged yet.
 */
export function plotTraining({ steps, epochs }: TrainLog, text: FigureText): string {
  const perEpoch = stepsPerEpoch(steps, epochs);
  const stretches = stretchesOf(steps);
  const training = (value: (line: StepLine) => number): Curve => ({
    name: 'training',
    points: stretches.map((lines) => [
      mean(lines.map(({ step }) => step)) / perEpoch,
      mean(lines.map(value)),
    ]),
  });
  const validation = (value: (line: NonNullable<EpochLine['validation']>) => number): Curve => ({
    name: 'validation',
    dots: epochs.length <= 40,
    points: epochs.flatMap((line) =>
      line.validation === undefined ? [] : [[line.step / perEpoch, value(line.validation)] as const],
    ),
  });
  const end = largest([...steps, ...epochs].map(({ step }) => step / perEpoch));
  const panel = (
    heading: string,
    label: string,
    curves: readonly Curve[],
    format: (value: number) => string = String,
  ): Panel => {
    const drawn = curves.filter(({ points }) => points.length > 0);
    const x = { label: 'epochs', domain: [0, end] } as const;
    return curvePanel(drawn, { width: WIDTH, height: HEIGHT, heading, x, y: { label, format } });
  };
  return drawFigure(text, [
    [
      panel('Loss: in training against its own targets, in validation against labels', 'cross-entropy', [
        training(({ loss }) => loss),
        validation(({ loss }) => loss),
      ]),
    ],
    [
      accuracyPanel([training(({ accuracy }) => 100 * accuracy), validation(({ top1 }) => 100 * top1)], {
        ...{ end, height: HEIGHT, heading: 'Accuracy' },
      }),
    ],
    [
      panel(
        'Learning rate',
        '',
        [{ name: 'rate', points: thinned(steps).map(({ step, rate }) => [step / perEpoch, rate]) }],
        (value) => (value === 0 ? '0' : value.toExponential()),
      ),
    ],
  ]);
}

function stepsPerEpoch(steps: readonly StepLine[], epochs: readonly EpochLine[]): number {
  const last = epochs.at(-1);
  if (last !== undefined) return Math.max(1, last.step / (last.epoch + 1));
  return Math.max(1, steps.at(-1)?.step ?? 1);
}

/** At most {@link POINTS} runs of neighbouring lines. */
function stretchesOf(steps: readonly StepLine[]): readonly (readonly StepLine[])[] {
  const size = Math.max(1, Math.ceil(steps.length / POINTS));
  return Array.from({ length: Math.ceil(steps.length / size) }, (_, i) =>
    steps.slice(i * size, (i + 1) * size),
  );
}

function thinned(steps: readonly StepLine[]): readonly StepLine[] {
  return stretchesOf(steps).flatMap((lines) => lines.slice(0, 1));
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / Math.max(values.length, 1);
}
