import { expect, test } from 'vitest';
import { plain, spans } from './ansi';

const short = (line: string) =>
  spans(line).map((span) => [span.text, span.colour, span.bold ? 'b' : '', span.dim ? 'd' : ''].join('|'));

test('colours, bold and back', () => {
  expect(short('a\x1b[31mred\x1b[1mbold\x1b[0mend')).toEqual(['a|||', 'red|1||', 'bold|1|b|', 'end|||']);
  expect(short('\x1b[2;92mx\x1b[22;39my')).toEqual(['x|2||d', 'y|||']);
});

test('what is not a colour disappears', () => {
  expect(plain('\x1b]0;title\x07\x1b[2K\x1b[1Gdone\x1b[?25l')).toBe('done');
  expect(short('\x1b[38;2;1;2;3mrgb\x1b[38;5;9mx\x1b[48;5;200my')).toEqual(['rgb|||', 'x|1||', 'y|1||']);
});

test('text stays text', () => {
  expect(short('<b>&amp; [31m')).toEqual(['<b>&amp; [31m|||']);
  expect(plain('no escape')).toBe('no escape');
});
