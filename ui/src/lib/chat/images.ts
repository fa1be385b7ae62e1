/** How does a picture from a person's disk become part of a message? As a data: URL that is not larger than needed. */

const LARGEST_SIDE = 1536;
const KEPT_BYTES = 600_000;

/** The size that fits into a square of `side`, never larger than it is. */
export function fitted(width: number, height: number, side = LARGEST_SIDE): { width: number; height: number } {
  const scale = Math.min(1, side / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/** Reads a picture; throws when the browser cannot decode it. Small ones are kept byte for byte. */
export async function dataUrl(file: File): Promise<string> {
  const picture = await createImageBitmap(file);
  const size = fitted(picture.width, picture.height);
  if (size.width === picture.width && file.size <= KEPT_BYTES && /^image\/(png|jpeg)$/.test(file.type))
    return plain(file);
  const canvas = document.createElement('canvas');
  Object.assign(canvas, size);
  canvas.getContext('2d')!.drawImage(picture, 0, 0, size.width, size.height);
  return canvas.toDataURL('image/jpeg', 0.9);
}

function plain(file: File): Promise<string> {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(String(reader.result));
    reader.onerror = () => failed(new Error(`${file.name} could not be read`));
    reader.readAsDataURL(file);
  });
}
