/** Which answer is read aloud now? One at a time, for all of the chat. */
import { ask, json } from '../../api/client';
import { sentence } from '../../api/errors';
import { notices } from '../../notices.svelte';
import { spoken } from './spoken';

class Speaker {
  /** The id of the message, empty when nothing is read. */
  message = $state('');
  /** Whether its sound is still to come. */
  waiting = $state(false);
  #abort = new AbortController();
  #sound: HTMLAudioElement | null = null;
  #voices = new Map<string, string>();

  /** Reads a message aloud; whatever was read before ends. */
  async read(message: string, text: string, model: string): Promise<void> {
    this.stop();
    const words = spoken(text);
    if (!words) return notices.say('There is nothing to read aloud: it is all code', 'bad');
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    this.message = message;
    this.waiting = true;
    try {
      const voice = await this.#voice(model, signal);
      const body = { model, input: words, ...(voice && { voice }) };
      const response = await ask('/v1/audio/speech', { method: 'POST', body, signal });
      const sound = await response.blob();
      if (!signal.aborted) await this.#play(sound, signal);
    } catch (error) {
      if (signal.aborted) return;
      notices.say(`It cannot be read aloud: ${sentence(error)}`, 'bad');
      this.stop();
    }
  }

  stop(): void {
    this.#abort.abort();
    this.#sound?.pause();
    if (this.#sound) URL.revokeObjectURL(this.#sound.src);
    this.#sound = null;
    this.message = '';
    this.waiting = false;
  }

  async #play(sound: Blob, signal: AbortSignal): Promise<void> {
    const player = new Audio(URL.createObjectURL(sound));
    this.#sound = player;
    player.onended = () => !signal.aborted && this.stop();
    await player.play().catch((error: Error) => {
      throw error.name === 'NotSupportedError'
        ? new Error('what the text-to-speech model has sent is no sound that this browser plays')
        : error;
    });
    this.waiting = false;
  }

  /** The first voice that a model's server lists; it has one of its own where it lists none. */
  async #voice(model: string, signal: AbortSignal): Promise<string> {
    const known = this.#voices.get(model);
    if (known !== undefined) return known;
    const path = `/v1/audio/voices?model=${encodeURIComponent(model)}`;
    const voice = await json<unknown>(path, { signal }).then(firstVoice, () => '');
    this.#voices.set(model, voice);
    return voice;
  }
}

/** `{"voices": ["a", ...]}` or `{"data": [{"id": "a"}]}`, as servers differ. */
export function firstVoice(answer: unknown): string {
  const found = answer as { voices?: unknown; data?: unknown } | null;
  const list = found?.voices ?? found?.data ?? answer;
  const first: unknown = Array.isArray(list) ? list[0] : undefined;
  if (typeof first === 'string') return first;
  const { id, name } = (first ?? {}) as { id?: unknown; name?: unknown };
  return typeof id === 'string' ? id : typeof name === 'string' ? name : '';
}

export const speaker = new Speaker();
