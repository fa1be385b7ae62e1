/** Light, dark, or what the system says? */

export type Theme = 'system' | 'light' | 'dark';
const KEY = 'claracore.theme';

class ThemeChoice {
  choice: Theme = $state('system');

  restore(): void {
    const stored = localStorage.getItem(KEY);
    this.set(stored === 'light' || stored === 'dark' ? stored : 'system');
  }

  set(theme: Theme): void {
    this.choice = theme;
    if (theme === 'system') {
      localStorage.removeItem(KEY);
      delete document.documentElement.dataset.theme;
    } else {
      localStorage.setItem(KEY, theme);
      document.documentElement.dataset.theme = theme;
    }
  }
}

export const theme = new ThemeChoice();
