import { describe, expect, it } from 'vitest';
import { model } from '../../testing/values';
import type { Page } from '../router';
import { MOST_SHOWN, commands, howMany, matching, nothing } from './commands';

const names = { models: 'Models', ports: 'Ports', system: 'System' } as Record<Page, string>;
const models = [
  model('gemma', { aliases: ['small'] }),
  model('qwen/coder', { name: 'Qwen Coder', state: 'ready', port: 5802 }),
];
const all = commands({ names, models, ports: { gemma: 5801 } });
const titles = (typed: string) => matching(all, typed).shown.map(({ title }) => title);

describe('what can be done', () => {
  it('is going to pages, and what concerns models, those that run first', () => {
    const told = all.map(({ title }) => title);
    expect(told.slice(0, 4)).toEqual(['Go to Models', 'Go to Ports', 'Go to System', 'Unload qwen/coder']);
    expect(told).toContain('Load gemma');
    expect(told).not.toContain('Load qwen/coder');
    expect(told).toContain('Unload all models');
  });
  it('is nothing to unload where nothing runs', () => {
    const told = commands({ names, models: [model('a')], ports: {} }).map(({ title }) => title);
    expect(told).not.toContain('Unload all models');
  });
});

describe('what is meant', () => {
  it('has every word, the one that begins with it first', () => {
    expect(titles('load gem')[0]).toBe('Load gemma');
    expect(titles('unload')[0]).toBe('Unload qwen/coder');
    expect(titles('log qwen')).toEqual(['Log of qwen/coder']);
    expect(titles('ports')[0]).toBe('Go to Ports');
  });
  it('is found by name and alias, too', () => {
    expect(titles('open small')).toEqual(['Open gemma', 'Log of gemma']);
    expect(titles('open log gemma')).toEqual(['Log of gemma']);
    expect(titles('api key')).toEqual(['Go to System']);
    expect(titles('keys')[0]).toBe('Go to System');
    expect(titles('chat coder')).toEqual(['Chat with qwen/coder']);
  });
  it('is a port where it is a number', () => {
    expect(titles('why 5801')).toEqual(['Why port 5801?']);
    expect(titles('8080')).toEqual(['Why port 8080?']);
    expect(titles('why port 8080?')).toEqual(['Why port 8080?']);
    expect(titles('99999')).toEqual([]);
  });
  it('may be nothing, and characters of expressions are no expressions', () => {
    expect(titles('a(b')).toEqual([]);
    expect(titles('xyzzy')).toEqual([]);
    expect(nothing('xyzzy')).toBe('Nothing is called “xyzzy”.');
    expect(nothing('why 99999')).toBe('There is no port 99999: they go from 1 to 65535.');
  });
  it('is shown in bounds', () => {
    const many = Array.from({ length: 500 }, (_, index) => model(`m${index}`));
    const found = commands({ names, models: many, ports: {} });
    expect(matching(found, '').shown.length).toBe(MOST_SHOWN);
    expect(howMany(matching(found, ''))).toBe('the first 40 of 2,007');
    expect(howMany(matching(found, 'load m499'))).toBe('2 found');
    expect(matching(found, 'load m499').shown[0]!.title).toBe('Load m499');
  });
});
