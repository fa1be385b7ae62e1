/** What differs between two texts? Apart from the editor, because few who open that compare. */
import { unifiedMergeView } from '@codemirror/merge';
import { EditorState } from '@codemirror/state';
import { EditorView } from '@codemirror/view';
import { common } from './editor';

/** A read-only text with what differs from `original` marked; equal stretches are folded away. */
export function createDiff(parent: ShadowRoot, original: string, text: string, label: string): EditorView {
  return new EditorView({
    parent,
    root: parent,
    state: EditorState.create({
      doc: text,
      extensions: [
        EditorState.readOnly.of(true),
        EditorView.editable.of(false),
        EditorView.contentAttributes.of({ 'aria-label': label, tabindex: '0' }),
        unifiedMergeView({ original, mergeControls: false, collapseUnchanged: { margin: 3, minSize: 6 } }),
        common,
      ],
    }),
  });
}
