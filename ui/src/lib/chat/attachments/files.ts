/** Of which kind is a file, and how is it read? By its type and name, and a text by what is in it. */

export type FileKind = 'image' | 'sound' | 'pdf' | 'text';

const SOUNDS = /\.(wav|mp3|ogg|oga|opus|m4a|aac|flac|weba)$/i;
const PICTURES = /\.(png|jpe?g|webp|gif|bmp|avif|heic|heif|tiff?)$/i;

export function kindOfFile({ name, type }: { name: string; type: string }): FileKind {
  if (type === 'application/pdf' || /\.pdf$/i.test(name)) return 'pdf';
  if (type.startsWith('image/') && type !== 'image/svg+xml') return 'image';
  if (type.startsWith('audio/')) return 'sound';
  if (!type.startsWith('text/') && PICTURES.test(name)) return 'image';
  if (!type.startsWith('text/') && SOUNDS.test(name)) return 'sound';
  return 'text';
}

/** Reads bytes as a text, in the encodings that are about; null when they are none. */
export function decoded(bytes: Uint8Array): string | null {
  const encoding = marked(bytes);
  if (encoding) return new TextDecoder(encoding).decode(bytes);
  if (bytes.includes(0)) return null;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    // Older Windows programs write this; a file of another sort has control characters.
    const controls = bytes.reduce((sum, byte) => sum + Number(byte < 9 || (byte > 13 && byte < 32)), 0);
    return controls ? null : new TextDecoder('windows-1252').decode(bytes);
  }
}

/** The encoding that a byte order mark tells. */
function marked(bytes: Uint8Array): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be';
  return '';
}

export function dataUrl(file: Blob): Promise<string> {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(String(reader.result));
    reader.onerror = () => failed(reader.error ?? new Error('it cannot be read'));
    reader.readAsDataURL(file);
  });
}
