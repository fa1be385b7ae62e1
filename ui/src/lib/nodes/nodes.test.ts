import { describe, expect, it } from 'vitest';
import { badgeOf, configurationOf, filesOf, fullness, hiddenOf, modelsOf, programOf } from './nodes';

describe('a machine', () => {
  it('is named by its program and version', () => {
    expect(programOf({ kind: 'lm-studio', version: '' })).toBe('LM Studio');
    expect(programOf({ kind: 'claracore', version: '1.2' })).toBe('ClaraCore 1.2');
    expect(programOf({ kind: 'of tomorrow', version: '' })).toBe('of tomorrow');
  });
  it('has a colour for each state, and none for others', () => {
    expect(['up', 'silent', 'lost', 'asleep', 'new'].map(badgeOf)).toEqual(['ok', 'warn', 'bad', 'info', '']);
  });
  it('is as full as what is not free, also when it says odd things', () => {
    expect(fullness({ device: 'ram', total_bytes: 8 * 2 ** 30, free_bytes: 2 * 2 ** 30 }).share).toBe(0.75);
    expect(fullness({ device: 'ram', total_bytes: 0, free_bytes: 0 }).share).toBe(0);
    expect(fullness({ device: 'ram', total_bytes: 1, free_bytes: 2 }).share).toBe(0);
  });
  it('says of each file that it still needs how far it is', () => {
    const file = { name: 'a', size_bytes: 9, done_bytes: 9, fetching: false, left_seconds: null, why: '', words: '' };
    const coming = { ...file, fetching: true, words: 'fetching qwen.gguf 41 %, 3 min left' };
    expect(filesOf({ files: [file, coming] })).toEqual(['fetching qwen.gguf 41 %, 3 min left']);
    expect(filesOf({})).toEqual([]);
  });
  it('says what it has to do', () => {
    const model = { name: 'x', state: 'ready', fit: 'unknown', requests: 0, slots: null, context: null } as const;
    expect(modelsOf({ models: [model], loaded: ['x'], requests: 2 })).toBe('1 model · 1 loaded · 2 requests');
  });
  it('says which models of it are hidden by names of this machine', () => {
    expect(hiddenOf({ hidden: ['x', 'y'] })).toContain('the same: x, y');
    expect([hiddenOf({ hidden: [] }), hiddenOf({})]).toEqual(['', '']);
  });
  it('says how it is with the models that it is to have from here', () => {
    const of = (state: 'current' | 'refused' | 'older' | 'closed', kept: string[] = []) =>
      configurationOf({ configuration: { state, why: '', models: ['x', 'y'], kept } });
    expect(of('current', ['x'])).toEqual({
      badge: 'ok',
      words: 'up to date',
      about: '2 models from here; its own file has x',
    });
    expect([of('refused')?.badge, of('older')?.words, of('closed')?.words]).toEqual(['bad', 'older', 'not given']);
    expect(configurationOf({ configuration: null })).toBeNull();
  });
});
