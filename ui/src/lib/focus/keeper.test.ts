// @vitest-environment jsdom
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Keeper } from './keeper';

let end = () => {};
beforeEach(() => {
  vi.useFakeTimers();
  end = new Keeper().follow(document);
});
afterEach(() => {
  end();
  document.body.replaceChildren();
  vi.useRealTimers();
});

const settled = () => vi.advanceTimersByTimeAsync(5);
const the = (id: string) => document.getElementById(id) as HTMLButtonElement;

function page(html: string, focused: string) {
  document.body.innerHTML = html;
  the(focused).focus();
}

test('what goes away gives the focus to the section that it was in, and that is no stop for Tab', async () => {
  page('<main><section id="card" aria-label="Keys"><ul><li><button id="a">x</button></li></ul></section></main>', 'a');
  document.querySelector('li')!.remove();
  await settled();
  expect(document.activeElement).toBe(the('card'));
  expect(the('card').tabIndex).toBe(-1);
});

test('a place may name what has the focus then', async () => {
  page(
    '<section aria-label="s"><li data-home=".run"><button id="a">x</button><button class="run" id="b">y</button></li></section>',
    'a',
  );
  the('a').remove();
  await settled();
  expect(document.activeElement).toBe(the('b'));
});

test('a page that goes away leaves it with the page', async () => {
  page('<main id="main"><div id="page"><section aria-label="s"><button id="a">x</button></section></div></main>', 'a');
  the('page').remove();
  await settled();
  expect(document.activeElement).toBe(the('main'));
});

test('what was disabled for a while has it again', async () => {
  page('<section aria-label="s"><button id="a">x</button></section>', 'a');
  // As Chromium does it: a disabled element has no focus.
  the('a').blur();
  the('a').disabled = true;
  await settled();
  expect(document.activeElement).toBe(document.body);
  the('a').disabled = false;
  await settled();
  expect(document.activeElement).toBe(the('a'));
});

test('behind a dialog is where it was opened, although that is gone too', async () => {
  page('<main><section aria-label="Keys" id="keys"><button id="a">x</button></section><div id="at"></div></main>', 'a');
  the('at').innerHTML = '<dialog id="d" open><button id="b">yes</button><button id="c">no</button></dialog>';
  the('b').focus();
  the('c').focus();
  the('b').focus();
  the('a').remove();
  the('d').remove();
  await settled();
  expect(document.activeElement).toBe(the('keys'));
});

test('who leaves it on purpose, or puts it elsewhere at once, is left alone', async () => {
  page('<section aria-label="s" id="s"><button id="a">x</button><button id="b">y</button></section>', 'a');
  the('a').blur();
  await settled();
  the('a').remove();
  await settled();
  expect(document.activeElement).toBe(document.body);
  the('b').focus();
  document.body.insertAdjacentHTML('beforeend', '<button id="c">z</button>');
  the('b').remove();
  await Promise.resolve();
  the('c').focus();
  await settled();
  expect(document.activeElement).toBe(the('c'));
});
