/** How does a picture from a person's disk become part of a message? As a `data:` URL that is not larger than needed. */
import { dataUrl } from './files';

const LARGEST_SIDE = 1536;
const KEPT_BYTES = 600_000;
/** Pixels along each side of what becomes one token in common models that see. */
const PATCH = 28;
const LEAST_TOKENS = 64;

export interface Picture {
  url: string;
  width: number;
  height: number;
}

/** The size that fits into a square of `side`, never larger than it is. */
export function fitted(width: number, height: number, side = LARGEST_SIDE): { width: number; height: number } {
  const scale = Math.min(1, side / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/** About how many tokens a picture will be; models differ by much. */
export function pictureTokens(width: number, height: number): number {
  return Math.max(LEAST_TOKENS, Math.ceil(width / PATCH) * Math.ceil(height / PATCH));
}

/** Whether a photo says which side is up, or more of itself: models' servers do not read that, so it is drawn anew. */
export function hasExif(head: Uint8Array): boolean {
  return new TextDecoder('latin1').decode(head).includes('Exif\0\0');
}

/** Reads a picture, the right way up; throws when the browser cannot decode it. Small ones are kept byte for byte. */
export async function readPicture(file: Blob): Promise<Picture> {
  const picture = await createImageBitmap(file);
  const size = fitted(picture.width, picture.height);
  const small = size.width === picture.width && file.size <= KEPT_BYTES;
  const plain = file.type === 'image/png' || (file.type === 'image/jpeg' && !(await exif(file)));
  if (small && plain) return { url: await dataUrl(file), ...size };
  const canvas = document.createElement('canvas');
  Object.assign(canvas, size);
  const pen = canvas.getContext('2d')!;
  // JPEG has no transparency: what shows through would be black.
  pen.fillStyle = '#fff';
  pen.fillRect(0, 0, size.width, size.height);
  pen.imageSmoothingQuality = 'high';
  pen.drawImage(picture, 0, 0, size.width, size.height);
  picture.close();
  return { url: canvas.toDataURL('image/jpeg', 0.9), ...size };
}

async function exif(file: Blob): Promise<boolean> {
  return hasExif(new Uint8Array(await file.slice(0, 65_536).arrayBuffer()));
}
