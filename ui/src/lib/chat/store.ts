/** What does this browser remember of the chat? The last conversations and parameters, without images if they are too many. */
import { type Message, type Parameters, UNSET, restoredParameters } from './conversation';

const KEY = 'claracore.chat';

export interface Remembered {
  panes: { model: string; messages: Message[] }[];
  parameters: Parameters;
}

export function remember(state: Remembered): void {
  const bare = (message: Message): Message => ({ ...message, images: [] });
  const without = { ...state, panes: state.panes.map((pane) => ({ ...pane, messages: pane.messages.map(bare) })) };
  for (const attempt of [state, without]) {
    try {
      localStorage.setItem(KEY, JSON.stringify(attempt));
      return;
    } catch {
      // Over the browser's quota: once more without images.
    }
  }
}

export function recall(): Remembered {
  try {
    const stored = JSON.parse(localStorage.getItem(KEY) ?? 'null') as Remembered | null;
    if (stored?.panes.length) {
      const panes = stored.panes
        .slice(0, 2)
        .map(({ model, messages }) => ({ model: String(model), messages: [...messages] }));
      return { panes, parameters: restoredParameters(stored.parameters) };
    }
  } catch {
    // Unreadable: as if there were nothing.
  }
  return { panes: [{ model: '', messages: [] }], parameters: { ...UNSET } };
}
