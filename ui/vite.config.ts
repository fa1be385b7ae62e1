import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

const server = process.env.CLARACORE_URL ?? 'http://127.0.0.1:5800';
const ours = ['/api', '/v1', '/health', '/logs', '/upstream', '/rerank', '/docs', '/openapi.json'];

/** Writes `x.gz` beside every text file, so that the server compresses nothing while it runs. */
function compress(): Plugin {
  const visit = (folder: string): void => {
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      if (statSync(path).isDirectory()) visit(path);
      else if (/\.(js|css|html|svg|json)$/.test(name))
        writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
    }
  };
  let out = '';
  return {
    name: 'compress',
    apply: 'build',
    configResolved: (config) => void (out = resolve(config.root, config.build.outDir)),
    closeBundle: () => visit(out),
  };
}

/** Puts Swagger UI beside `public/docs/index.html`: the description of the API works without a network. */
function apiDocs(): Plugin {
  let out = '';
  return {
    name: 'api-docs',
    apply: 'build',
    configResolved: (config) => void (out = resolve(config.root, config.build.outDir, 'docs')),
    writeBundle: () => {
      mkdirSync(out, { recursive: true });
      for (const name of ['swagger-ui-bundle.js', 'swagger-ui-bundle.js.LICENSE.txt', 'swagger-ui.css'])
        copyFileSync(resolve(import.meta.dirname, 'node_modules/swagger-ui-dist', name), join(out, name));
    },
  };
}

/** Puts beside the interface what pdf.js knows of old encodings of Chinese, Japanese and Korean; fetched where one is used. */
function encodingsOfPdf(): Plugin {
  let out = '';
  const from = resolve(import.meta.dirname, 'node_modules/pdfjs-dist/cmaps');
  return {
    name: 'encodings-of-pdf',
    apply: 'build',
    configResolved: (config) => void (out = resolve(config.root, config.build.outDir, 'cmaps')),
    writeBundle: () => cpSync(from, out, { recursive: true }),
  };
}

/** Lets the browser fetch the font before it knows the styles, so that the first page is drawn with it. */
function preloadFont(): Plugin {
  return {
    name: 'preload-font',
    transformIndexHtml: {
      order: 'post',
      handler: (_html, { bundle }) =>
        Object.keys(bundle ?? {})
          .filter((name) => /inter-.*\.woff2$/.test(name))
          .map((name) => ({
            tag: 'link',
            attrs: { rel: 'preload', as: 'font', type: 'font/woff2', href: `./${name}`, crossorigin: '' },
            injectTo: 'head' as const,
          })),
    },
  };
}

/** Every browser that runs us reads woff2: the two older formats of KaTeX's fonts would be 950 kB that nobody fetches. */
function newestFonts(): Plugin {
  return {
    name: 'newest-fonts',
    enforce: 'pre',
    transform: (code, id) =>
      /katex.*\.css/.test(id) ? code.replace(/,\s*url\([^)]*\.(?:woff|ttf)\)\s*format\("[a-z]+"\)/g, '') : undefined,
  };
}

/**
 * Names the files in the page from the root on, as it is served at many paths. Scripts and styles name theirs relative to
 * themselves. Where a proxy has put us below a path, the server writes that path before each `/ui/` of the page.
 */
function namedFromTheRoot(): Plugin {
  return {
    name: 'named-from-the-root',
    apply: 'build',
    transformIndexHtml: { order: 'post', handler: (html) => html.replaceAll('="./', '="/ui/') },
  };
}

export default defineConfig({
  base: './',
  plugins: [svelte(), newestFonts(), preloadFont(), namedFromTheRoot(), apiDocs(), encodingsOfPdf(), compress()],
  worker: { format: 'es' },
  resolve: {
    alias: { $lib: resolve(import.meta.dirname, 'src/lib') },
    // Otherwise tests would get the Svelte that runs on servers.
    ...(process.env.VITEST ? { conditions: ['browser'] } : {}),
  },
  build: {
    outDir: '../src/claracore/http/web/static',
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    // The editor is one chunk that only the configuration page loads.
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: Object.fromEntries(ours.map((path) => [path, { target: server, changeOrigin: true }])) },
  test: { include: ['src/**/*.test.ts'] },
});
