/** The YAML editor: CodeMirror with the schema's completion, explanations and the server's findings. */
import {
  autocompletion,
  type Completion,
  type CompletionContext,
  type CompletionResult,
  completionKeymap,
} from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { yaml } from '@codemirror/lang-yaml';
import {
  HighlightStyle,
  bracketMatching,
  foldGutter,
  foldKeymap,
  indentOnInput,
  indentUnit,
  syntaxHighlighting,
} from '@codemirror/language';
import { type Diagnostic, lintGutter, lintKeymap, setDiagnostics } from '@codemirror/lint';
import { highlightSelectionMatches, search, searchKeymap } from '@codemirror/search';
import { EditorState, type Extension } from '@codemirror/state';
import {
  EditorView,
  drawSelection,
  highlightActiveLine,
  highlightActiveLineGutter,
  hoverTooltip,
  keymap,
  lineNumbers,
} from '@codemirror/view';
import { tags } from '@lezer/highlight';
import type { Finding } from '../api/types';
import { columnOf, lineOf } from '../findings';
import { type Schema, about, at, options, values } from './schema';
import { spotAt } from './spot';

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: 'var(--accent-strong)' },
  { tag: tags.string, color: 'var(--ok)' },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: 'var(--warn)' },
  { tag: tags.comment, color: 'var(--text-3)', fontStyle: 'italic' },
  { tag: [tags.typeName, tags.labelName, tags.meta, tags.keyword], color: 'var(--violet)' },
]);

const look = EditorView.theme({
  '&': { height: '100%', fontSize: '13px', color: 'var(--text)', backgroundColor: 'var(--surface)' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.6', overscrollBehavior: 'contain' },
  '.cm-content': { caretColor: 'var(--text)' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '.cm-gutters': { backgroundColor: 'var(--surface)', color: 'var(--text-3)', border: 'none', paddingRight: '4px' },
  '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: 'color-mix(in oklab, var(--surface-2) 60%, transparent)' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': {
    backgroundColor: 'var(--accent-soft)',
  },
  '.cm-selectionMatch': { backgroundColor: 'var(--info-soft)' },
  '.cm-tooltip': {
    backgroundColor: 'var(--surface)',
    color: 'var(--text)',
    border: '1px solid var(--border)',
    borderRadius: '8px',
    boxShadow: 'var(--shadow-2)',
    overflow: 'hidden',
  },
  '.cm-tooltip-autocomplete > ul': { fontFamily: 'var(--mono)', maxHeight: '16em' },
  '.cm-tooltip-autocomplete > ul > li': { padding: '3px 8px', color: 'var(--text)' },
  '.cm-tooltip-autocomplete > ul > li[aria-selected]': { backgroundColor: 'var(--accent-soft)', color: 'var(--text)' },
  '.cm-completionDetail': { color: 'var(--text-3)', fontStyle: 'normal' },
  '.cm-completionInfo, .cm-about': {
    padding: '7px 10px',
    maxWidth: '380px',
    fontFamily: 'var(--font)',
    lineHeight: '1.45',
  },
  '.cm-diagnostic': { fontFamily: 'var(--font)', whiteSpace: 'pre-wrap', maxWidth: '520px' },
  '.cm-panels': { backgroundColor: 'var(--surface-2)', color: 'var(--text)', borderColor: 'var(--border)' },
  '.cm-panel input, .cm-panel button': {
    font: 'inherit',
    color: 'var(--text)',
    background: 'var(--surface)',
    border: '1px solid var(--border-strong)',
    borderRadius: '5px',
  },
  '.cm-changedLine': { backgroundColor: 'color-mix(in oklab, var(--ok-soft) 70%, transparent) !important' },
  '.cm-changedText': { background: 'color-mix(in oklab, var(--ok) 28%, transparent) !important' },
  '.cm-deletedChunk': { backgroundColor: 'color-mix(in oklab, var(--bad-soft) 70%, transparent) !important' },
  '.cm-deletedChunk .cm-deletedText': { background: 'color-mix(in oklab, var(--bad) 28%, transparent) !important' },
  // Its arrows are pictures that few fonts have.
  '.cm-collapsedLines:before, .cm-collapsedLines:after': { content: 'none !important' },
  '.cm-collapsedLines': { background: 'var(--surface-2)', color: 'var(--text-2)' },
});

/** What every text here has: numbers, colours, wrapped lines. */
export const common: Extension = [lineNumbers(), yaml(), syntaxHighlighting(colours), EditorView.lineWrapping, look];

/** Completes keys and values; `schema` is asked each time because it arrives later than the text. */
function completing(schema: () => Schema | null) {
  return (context: CompletionContext): CompletionResult | null => {
    const root = schema();
    const spot = root ? spotAt(context.state.doc.toString(), context.pos) : null;
    if (!root || !spot || (!context.explicit && !spot.typed)) return null;
    const found: Completion[] =
      spot.kind === 'key'
        ? options(root, spot.path, spot.siblings).map((option) => ({
            label: option.name,
            detail: option.detail,
            type: 'property',
            apply: option.block ? `${option.name}:` : `${option.name}: `,
            ...(option.about ? { info: option.about } : {}),
          }))
        : values(root, spot.path).map((value) => ({ label: value, type: 'enum' }));
    return found.length ? { from: spot.from, options: found, validFor: /^[\w$.-]*$/ } : null;
  };
}

function explaining(schema: () => Schema | null): Extension {
  return hoverTooltip((view, position) => {
    const root = schema();
    const line = view.state.doc.lineAt(position);
    const key = /^(\s*(?:- +)*)([\w.-]+)\s*:/.exec(line.text);
    if (!root || !key) return null;
    const [from, to] = [line.from + key[1]!.length, line.from + key[1]!.length + key[2]!.length];
    if (position < from || position > to) return null;
    const spot = spotAt(view.state.doc.toString(), from);
    const [place] = spot ? at(root, [...spot.path, key[2]!]) : [];
    const text = place ? about(place, root) : '';
    if (!text) return null;
    return {
      pos: from,
      end: to,
      above: true,
      create: () => {
        const dom = document.createElement('div');
        dom.className = 'cm-about';
        dom.textContent = text;
        return { dom };
      },
    };
  });
}

export interface EditorOptions {
  parent: ShadowRoot;
  text: string;
  label: string;
  schema: () => Schema | null;
  changed: (text: string) => void;
  save: () => void;
}

export function createEditor({ parent, text, label, schema, changed, save }: EditorOptions): EditorView {
  return new EditorView({
    parent,
    root: parent,
    state: EditorState.create({
      doc: text,
      extensions: [
        keymap.of([{ key: 'Mod-s', preventDefault: true, run: () => (save(), true) }]),
        keymap.of([
          ...completionKeymap,
          ...defaultKeymap,
          ...searchKeymap,
          ...historyKeymap,
          ...foldKeymap,
          ...lintKeymap,
        ]),
        history(),
        foldGutter(),
        lintGutter(),
        drawSelection(),
        indentOnInput(),
        indentUnit.of('  '),
        bracketMatching(),
        highlightActiveLine(),
        highlightActiveLineGutter(),
        highlightSelectionMatches(),
        search({ top: true }),
        autocompletion({ override: [completing(schema)], icons: false }),
        explaining(schema),
        // What scrolls must be reachable by keyboard; that an editable text is, axe does not know.
        EditorView.contentAttributes.of({ 'aria-label': label, tabindex: '0' }),
        EditorView.updateListener.of((update) => update.docChanged && changed(update.state.doc.toString())),
        common,
      ],
    }),
  });
}

/** Replaces the whole text as one step that can be undone, touching only what differs. */
export function replaceText(view: EditorView, text: string): void {
  const before = view.state.doc.toString();
  if (before === text) return;
  let start = 0;
  while (start < before.length && before[start] === text[start]) start += 1;
  let tail = 0;
  while (tail < Math.min(before.length, text.length) - start && before.at(-1 - tail) === text.at(-1 - tail)) tail += 1;
  view.dispatch({ changes: { from: start, to: before.length - tail, insert: text.slice(start, text.length - tail) } });
}

export function showFindings(view: EditorView, findings: readonly Finding[]): void {
  const doc = view.state.doc;
  const diagnostics = findings.flatMap((finding): Diagnostic[] => {
    const number = lineOf(finding);
    if (!number) return [];
    // A parser that missed something says so behind the last line.
    const line = doc.line(Math.min(number, doc.lines));
    const from = Math.min(line.to, line.from + Math.max(0, (columnOf(finding) ?? 1) - 1));
    const word = /^[^\s:,#]+/.exec(doc.sliceString(from, line.to))?.[0].length ?? 0;
    const message = finding.way_out ? `${finding.message}\n${finding.way_out}` : finding.message;
    return [
      {
        from,
        to: Math.max(from + word, Math.min(from + 1, line.to)),
        severity: finding.severity === 'note' ? 'info' : finding.severity,
        message,
      },
    ];
  });
  view.dispatch(setDiagnostics(view.state, diagnostics));
}

export function goTo(view: EditorView, number: number): void {
  const line = view.state.doc.line(Math.min(Math.max(1, number), view.state.doc.lines));
  view.dispatch({ selection: { anchor: line.from }, effects: EditorView.scrollIntoView(line.from, { y: 'center' }) });
  view.focus();
}
