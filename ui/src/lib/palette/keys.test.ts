// @vitest-environment jsdom
import { describe, expect, it } from 'vitest';
import { type Pressed, shortcutOf, whereOf } from './keys';

const press = (key: string, more: Partial<Pressed> = {}): Pressed => ({
  key,
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  defaultPrevented: false,
  ...more,
});

describe('a key', () => {
  it('is a shortcut on the page', () => {
    expect(shortcutOf(press('/'), 'page')).toBe('filter');
    expect(shortcutOf(press('?'), 'page')).toBe('list');
    expect(shortcutOf(press('k', { ctrlKey: true }), 'page')).toBe('palette');
    expect(shortcutOf(press('K', { metaKey: true }), 'page')).toBe('palette');
    expect(shortcutOf(press('k'), 'page')).toBeNull();
  });
  it('is a character in a field', () => {
    expect(shortcutOf(press('/'), 'field')).toBeNull();
    expect(shortcutOf(press('?'), 'field')).toBeNull();
    expect(shortcutOf(press('k', { ctrlKey: true }), 'field')).toBe('palette');
    expect(shortcutOf(press('k', { ctrlKey: true }), 'editor')).toBeNull();
  });
  it('belongs to who used it first, and to the browser with more keys', () => {
    expect(shortcutOf(press('/', { defaultPrevented: true }), 'page')).toBeNull();
    expect(shortcutOf(press('/', { ctrlKey: true }), 'page')).toBeNull();
    expect(shortcutOf(press('k', { ctrlKey: true, altKey: true }), 'page')).toBeNull();
  });
});

describe('where it is pressed', () => {
  const element = (html: string) => {
    document.body.innerHTML = html;
    return whereOf([document.body.firstElementChild!, document.body]);
  };
  it('is a field where characters go', () => {
    expect(element('<input>')).toBe('field');
    expect(element('<input type="search">')).toBe('field');
    expect(element('<textarea></textarea>')).toBe('field');
    expect(element('<input type="checkbox">')).toBe('page');
    expect(element('<button></button>')).toBe('page');
    expect(element('<div role="textbox"></div>')).toBe('editor');
  });
});
