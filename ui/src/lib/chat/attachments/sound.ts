/** How does sound become what models hear? As MP3 or WAV; anything else that the browser plays becomes a WAV. */
import { dataUrl } from './files';

/** What models and transcribers work with: more is thrown away by them. */
const RATE = 16_000;
/** Per second of sound, in common models that hear. */
const TOKENS_PER_SECOND = 25;

export interface Sound {
  url: string;
  seconds: number;
}

/** Reads a recording or a file; throws when the browser cannot play it. */
export async function readSound(file: Blob): Promise<Sound> {
  const samples = await decoded(file);
  const passes = /^audio\/(mpeg|mp3|wav|x-wav|wave|vnd\.wave)$/.test(file.type);
  const wav = passes ? file : wavOf(samples);
  const url = (await dataUrl(wav)).replace(/^data:audio\/(x-wav|wave|vnd\.wave)/, 'data:audio/wav');
  return { url, seconds: samples.length / RATE };
}

/** A recording as a WAV, which every transcriber reads. */
export async function asWav(file: Blob): Promise<Blob> {
  return wavOf(await decoded(file));
}

export function soundTokens(seconds: number): number {
  return Math.ceil(seconds * TOKENS_PER_SECOND);
}

async function decoded(file: Blob): Promise<Float32Array> {
  // Decoding resamples to the context's own rate, and mixing to one channel is its work too.
  const context = new OfflineAudioContext(1, 1, RATE);
  const buffer = await context.decodeAudioData(await file.arrayBuffer());
  if (buffer.numberOfChannels === 1) return buffer.getChannelData(0);
  const mixer = new OfflineAudioContext(1, buffer.length, RATE);
  const source = new AudioBufferSourceNode(mixer, { buffer });
  source.connect(mixer.destination);
  source.start();
  return (await mixer.startRendering()).getChannelData(0);
}

/** Samples of one channel, each from -1 to 1, as a WAV file with 16 bits each. */
export function wavOf(samples: Float32Array, rate = RATE): Blob {
  const head = new DataView(new ArrayBuffer(44));
  const text = (at: number, word: string) => [...word].forEach((c, i) => head.setUint8(at + i, c.charCodeAt(0)));
  text(0, 'RIFF');
  head.setUint32(4, 36 + samples.length * 2, true);
  text(8, 'WAVEfmt ');
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true); // PCM
  head.setUint16(22, 1, true); // channels
  head.setUint32(24, rate, true);
  head.setUint32(28, rate * 2, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  text(36, 'data');
  head.setUint32(40, samples.length * 2, true);
  const body = Int16Array.from(samples, (sample) => Math.round(Math.max(-1, Math.min(1, sample)) * 32_767));
  return new Blob([head.buffer, body.buffer], { type: 'audio/wav' });
}
