/** What was said, in words? A speech-to-text model writes it down. */
import { ask } from '../../api/client';
import { asWav } from '../attachments/sound';

/** Throws ApiError, or a sentence where the answer is none. */
export async function transcribed(model: string, said: Blob, signal: AbortSignal): Promise<string> {
  const form = new FormData();
  // Before the file: what comes first is known first, and the model may have to be loaded.
  form.append('model', model);
  form.append('response_format', 'json');
  const sound = await asWav(said).catch(() => {
    throw new Error('nothing was recorded');
  });
  form.append('file', sound, 'speech.wav');
  const response = await ask('/v1/audio/transcriptions', { method: 'POST', body: form, signal });
  return heard(await response.text());
}

/** Servers answer with JSON, or with the plain text although they were asked for JSON. */
export function heard(answer: string): string {
  try {
    const found: unknown = JSON.parse(answer);
    if (typeof found === 'object' && found !== null && 'text' in found && typeof found.text === 'string')
      return found.text.trim();
  } catch {
    if (answer.trim() && !answer.trimStart().startsWith('<')) return answer.trim();
  }
  throw new Error('The answer of the speech-to-text model has no text');
}
