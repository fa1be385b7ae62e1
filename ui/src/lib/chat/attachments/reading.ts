/** How does a file become what is attached? Each way is loaded when it is needed; what cannot be read says why. */
import { plural } from '../../format';
import type { Attachment } from './attached';
import { keepContent } from './bulk';
import { decoded, kindOfFile } from './files';
import { estimated } from './tokens';

/** Longer texts fit into no model's context; in bytes. */
const MOST_BYTES = 20 * 1024 * 1024;

/** Reads a file; throws a whole sentence. `heard` is told how far a long one is read, 0 to 1. */
export async function attach(file: File, heard: (share: number) => void = () => {}): Promise<Attachment> {
  if (!file.size) throw new Error(`${file.name} is empty, or a folder`);
  const kind = kindOfFile(file);
  if (kind === 'image') return picture(file);
  if (kind === 'sound') return sound(file);
  if (file.size > MOST_BYTES && kind === 'text') throw new Error(`${file.name} is too large: it has more than 20 MiB`);
  return kind === 'pdf' ? pdf(file, heard) : text(file);
}

async function picture(file: File): Promise<Attachment> {
  const { pictureTokens, readPicture } = await import('./pictures');
  const read = await readPicture(file).catch(() => {
    throw new Error(`${file.name} is no picture that this browser can read`);
  });
  const tokens = pictureTokens(read.width, read.height);
  return { kind: 'image', name: file.name, at: keepContent(read.url), tokens };
}

async function sound(file: File): Promise<Attachment> {
  const { readSound, soundTokens } = await import('./sound');
  const read = await readSound(file).catch(() => {
    throw new Error(`${file.name} is no sound that this browser can play`);
  });
  return { kind: 'sound', name: file.name, at: keepContent(read.url), tokens: soundTokens(read.seconds) };
}

async function text(file: File): Promise<Attachment> {
  const content = decoded(new Uint8Array(await file.arrayBuffer()));
  if (content === null) throw new Error(`${file.name} is neither text, PDF, picture nor sound`);
  return { kind: 'text', name: file.name, at: keepContent(content), tokens: estimated(content) };
}

/** What pages without a text are, and what to do with them. */
export function onlyPictures(pages: number): string {
  if (pages === 1) return 'its page is a picture. Attach it as a picture';
  return `its ${plural(pages, 'page')} are pictures. Attach them as pictures`;
}

async function pdf(file: File, heard: (share: number) => void): Promise<Attachment> {
  const { readPdf } = await import('./pdf');
  const read = await readPdf(await file.arrayBuffer(), heard).catch((error: Error) => {
    throw new Error(`${file.name} cannot be read: ${error.message}`);
  });
  if (!read.text) {
    throw new Error(`${file.name} has no text: ${onlyPictures(read.pages)} to a model that sees`);
  }
  return { kind: 'text', name: file.name, at: keepContent(read.text), tokens: estimated(read.text) };
}
