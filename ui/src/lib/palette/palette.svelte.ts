/** Which of the palette and the list of shortcuts is open? */

class PaletteState {
  open: 'palette' | 'list' | null = $state(null);
}

export const palette = new PaletteState();
