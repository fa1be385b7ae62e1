/**
 * What is written in a PDF? Its text, page by page. Loaded when the first PDF is attached: pdf.js (Apache-2.0), whose
 * worker is a file of ours. It draws nothing, so neither fonts nor pictures are decoded, and nothing is evaluated.
 */
import { GlobalWorkerOptions, getDocument } from 'pdfjs-dist';
import type { TextItem } from 'pdfjs-dist/types/src/display/api';
import PdfWorker from 'pdfjs-dist/build/pdf.worker.min.mjs?worker';
import { ROOT } from '$lib/root';
import { pagesText } from './pages';

export interface PdfText {
  text: string;
  pages: number;
}

/** Reads a PDF; throws a sentence for one that is locked or damaged. `heard` gets the share that is read, 0 to 1. */
export async function readPdf(data: ArrayBuffer, heard: (share: number) => void): Promise<PdfText> {
  GlobalWorkerOptions.workerPort ??= new PdfWorker();
  const loading = getDocument({
    data,
    isEvalSupported: false,
    disableFontFace: true,
    useSystemFonts: false,
    useWasm: false,
    stopAtErrors: false,
    cMapUrl: `${ROOT}/ui/cmaps/`,
    cMapPacked: true,
    verbosity: 0,
  });
  try {
    const document = await loading.promise;
    const pages: string[] = [];
    for (let number = 1; number <= document.numPages; number += 1) {
      const page = await document.getPage(number);
      const { items } = await page.getTextContent();
      pages.push(
        items
          .filter((item): item is TextItem => 'str' in item)
          .map(({ str, hasEOL }) => str + (hasEOL ? '\n' : ''))
          .join(''),
      );
      page.cleanup();
      heard(number / document.numPages);
    }
    return { text: pagesText(pages), pages: pages.length };
  } catch (error) {
    throw new Error(whyNot(error), { cause: error });
  } finally {
    await loading.destroy();
  }
}

function whyNot(error: unknown): string {
  const name = error instanceof Error ? error.name : '';
  if (name === 'PasswordException') return 'it is locked with a password';
  return 'it is damaged, or no PDF';
}
