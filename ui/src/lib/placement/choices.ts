/** What of the ways to run a model is shown, and which of them is taken? Pure. */
import type { PlacementChoice } from '../api/types';
import { bytes } from '../format';

/** What a choice takes of each device that it uses: "GPU 0 14.6 GiB, RAM 680 MiB". */
export function takes(choice: PlacementChoice): string {
  return choice.devices
    .filter((share) => share.bytes > 0)
    .map((share) => `${device(share.device)} ${bytes(share.bytes)}`)
    .join(', ');
}

export function device(id: string): string {
  if (id === 'ram') return 'RAM';
  return id === 'unified' ? 'shared memory' : id.replace(/^gpu/, 'GPU ');
}

/** Which of the choices is marked: the one that was picked, else the one in force; -1 for neither. */
export function marked(
  choices: readonly PlacementChoice[],
  current: number | null,
  picked: PlacementChoice['settings'] | undefined,
): number {
  if (picked === undefined) return current ?? -1;
  const wanted = JSON.stringify(picked);
  return choices.findIndex((choice) => JSON.stringify(choice.settings) === wanted);
}

/** What is told when a choice was written. */
export function writtenWords(model: string, title: string, loaded: boolean): string {
  return `${model}: ${title}${loaded ? '; it starts anew with it' : ', from the next load on'}`;
}
